"""Tests of tl_keras.runs.directory."""

import errno
import json

import pytest

from tl_keras.config import CacheConfig, TransferConfig, to_json
from tl_keras.errors import WorkdirError
from tl_keras.files import replacing, writing
from tl_keras.runs.directory import RunDirectory

CONFIG = to_json(TransferConfig())
BEGIN = {"config": CONFIG, "data_hash": "ab", "splits": {"train": ["a.jpg"]}, "labels": ("cat", "dog")}


def test_begin_says_what_the_run_is(tmp_path):
    assert RunDirectory(tmp_path / "run").begin(**BEGIN) is False
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"] == CONFIG
    assert (tmp_path / "run" / "labels.txt").read_text() == "cat\ndog\n"
    assert json.loads((tmp_path / "run" / "splits.json").read_text()) == {"train": ["a.jpg"]}


def test_the_same_run_goes_on(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    assert RunDirectory(tmp_path).begin(**BEGIN) is True


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    (tmp_path / ".123.model.keras").write_text("half")
    RunDirectory(tmp_path).begin(**BEGIN)
    assert not (tmp_path / ".123.model.keras").exists()
    assert (tmp_path / "config.json").exists()


def test_what_a_worker_writes_is_thrown_away(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.npz").write_text("a checkpoint")
    copy = RunDirectory(tmp_path).scratch_copy()
    assert copy.begin(**BEGIN) is True
    assert copy.checkpoint.read_text() == "a checkpoint"
    copy.write_text("labels.txt", "")
    assert (tmp_path / "labels.txt").read_text() == "cat\ndog\n"


def test_a_run_with_another_config_is_refused_and_the_field_named(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    with pytest.raises(WorkdirError, match="seed: 0 there, 1 now"):
        RunDirectory(tmp_path).begin(**{**BEGIN, "config": {**CONFIG, "seed": 1}})


def test_what_computes_may_change_on_the_way(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    elsewhere = to_json(TransferConfig(strategy="jax", cache=CacheConfig(folder="elsewhere")))
    assert RunDirectory(tmp_path).begin(**{**BEGIN, "config": elsewhere}) is True


def test_how_features_are_rounded_may_not(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    rounded = to_json(TransferConfig(cache=CacheConfig(dtype="float16")))
    with pytest.raises(WorkdirError, match=r"cache\.dtype: float32 there, float16 now"):
        RunDirectory(tmp_path).begin(**{**BEGIN, "config": rounded})


def test_other_images_are_refused(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    with pytest.raises(WorkdirError, match="images have changed"):
        RunDirectory(tmp_path).begin(**{**BEGIN, "data_hash": "cd"})


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"config": ')
    with pytest.raises(WorkdirError, match=r"config\.json"):
        RunDirectory(tmp_path).read_config()


def test_a_file_in_the_way_is_named_and_nothing_is_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkdirError, match="is a file"):
        RunDirectory(tmp_path / "file" / "run").check_writable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_place_that_nobody_can_write_is_refused():
    with pytest.raises(WorkdirError, match=r"cannot write|can be written"):
        run = RunDirectory("/proc/tl_keras")
        run.check_writable()
        run.begin(**BEGIN)


def test_replacing_moves_a_file_into_place(tmp_path):
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "new")]


def test_replacing_moves_a_directory_into_place(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("")
    with replacing(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]


def test_after_an_error_the_old_file_stays_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Can't synchronously write data (file write failed: errno = 28, error message = 'No space left')"),
    ],
)
def test_a_full_disk_is_said_in_one_line(tmp_path, error):
    with pytest.raises(WorkdirError, match="disk is full") as raised, writing(tmp_path):
        raise error
    assert "\n" not in str(raised.value)


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunDirectory("~/run1").path == tmp_path / "run1"
