"""Tests of tl_keras.runs.directory."""

import errno
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from golden_results import golden_epochs, golden_result

from tl_keras.config import CacheConfig, TransferConfig, to_json
from tl_keras.errors import WorkdirError
from tl_keras.files import replacing, writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import SoupResult

CONFIG = to_json(TransferConfig())
NOBODY = 2**22 + 1  # Linux gives no process a higher number than 2**22
BEGIN = {
    "config": CONFIG,
    "data_hash": "ab",
    "splits": {"train": ["a.jpg"], "validation": [], "test": []},
    "labels": ("cat", "dog"),
}


def test_begin_says_what_the_run_is(tmp_path):
    assert RunDirectory(tmp_path / "run").begin(**BEGIN) is False
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"] == CONFIG
    assert json.loads((tmp_path / "run" / "config.json").read_text())["class_names"] == ["cat", "dog"]
    assert (tmp_path / "run" / "labels.txt").read_text() == "cat\ndog\n"
    assert json.loads((tmp_path / "run" / "splits.json").read_text()) == BEGIN["splits"]


def test_the_same_run_goes_on(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    assert RunDirectory(tmp_path).begin(**BEGIN) is True


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    (tmp_path / f".{NOBODY}.model.keras").write_text("half")
    RunDirectory(tmp_path).begin(**BEGIN)
    assert not (tmp_path / f".{NOBODY}.model.keras").exists()
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


def test_a_second_run_is_told_who_has_the_directory(tmp_path):
    first = RunDirectory(tmp_path)
    first.begin(**BEGIN)
    with pytest.raises(WorkdirError, match=f"which process {os.getpid()} has") as raised:
        RunDirectory(tmp_path).begin(**BEGIN)
    assert "\n" not in str(raised.value)
    first.release()
    assert RunDirectory(tmp_path).begin(**BEGIN) is True


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = "import sys, os, signal; from tl_keras.runs.directory import RunDirectory; run = RunDirectory(sys.argv[1]); run.lock(); "
    killed = subprocess.run(
        [sys.executable, "-c", code + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".lock").read_text()
    RunDirectory(tmp_path).lock()


def test_a_full_disk_is_said_by_the_lock_after_what_was_left_is_removed(tmp_path):
    (tmp_path / f".{NOBODY}.model.keras").write_text("half a model")
    code = """
import resource, signal, sys
from tl_keras.errors import WorkdirError
from tl_keras.runs.directory import RunDirectory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a full disk, no byte can be written
try:
    RunDirectory(sys.argv[1]).lock()
except WorkdirError as error:
    sys.exit("the disk is full" not in str(error))
"""
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_where_files_cannot_be_locked_a_run_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    RunDirectory(tmp_path).lock()
    assert "no locks on this file system" in capsys.readouterr().err


def test_what_a_killed_export_left_goes_with_its_empty_folder_and_that_of_a_living_one_stays(tmp_path):
    for process in (NOBODY, os.getppid()):
        (tmp_path / "saved_model" / f".{process}.1").mkdir(parents=True)
    (tmp_path / "onnx" / f".{NOBODY}.1").mkdir(parents=True)
    RunDirectory(tmp_path).lock()
    assert [path.name for path in (tmp_path / "saved_model").iterdir()] == [f".{os.getppid()}.1"]
    assert not (tmp_path / "onnx").exists()


def test_the_splits_of_a_million_images_are_read(tmp_path):
    splits = {"train": [f"n0{number:07}/n0{number:07}_{number:06}.JPEG" for number in range(1_000_000)]}
    run = RunDirectory(tmp_path)
    run.begin(**{**BEGIN, "splits": {**splits, "validation": [], "test": []}})
    assert (tmp_path / "splits.json").stat().st_size > 2**25
    assert run.read_splits()["train"] == splits["train"]


def test_removed_splits_and_labels_are_written_again(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    for name in ("splits.json", "labels.txt"):
        (tmp_path / name).unlink()
    assert RunDirectory(tmp_path).begin(**BEGIN) is True
    assert RunDirectory(tmp_path).read_splits() == BEGIN["splits"]
    assert (tmp_path / "labels.txt").read_text() == "cat\ndog\n"


def test_another_export_is_the_same_run(tmp_path):
    RunDirectory(tmp_path).begin(**BEGIN)
    RunDirectory(tmp_path).check_same_run(to_json(TransferConfig(export="onnx")))


READERS = {
    "config.json": RunDirectory.read_config,
    "splits.json": RunDirectory.read_splits,
    "result.json": RunDirectory.read_result,
    "audit.json": RunDirectory.read_audit,
    "metrics.jsonl": RunDirectory.read_epochs,
    "soup.json": RunDirectory.read_soup,
    "logits.npz": RunDirectory.read_logits,
}
DAMAGE = {
    "truncated": lambda path: path.write_bytes(b'{"config": {"da'),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(bytes(range(256))),
    "of another kind": lambda path: path.write_text("[1, 2]\n"),
    "a directory": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, name, damage):
    DAMAGE[damage](tmp_path / name)
    with pytest.raises(WorkdirError, match=name.replace(".", r"\.")) as raised:
        READERS[name](RunDirectory(tmp_path))
    assert "\n" not in str(raised.value)


SOUP = SoupResult(of=["cut/seed_0", "all/seed_0"], validation_score=0.5, workdir="soup")


@pytest.mark.parametrize("name", ["soup.json", "result.json"], ids=["of this version", "of an earlier version"])
def test_an_average_of_runs_is_read_and_exported_and_is_no_run(tmp_path, name):
    run = RunDirectory(tmp_path)
    run.begin(**BEGIN)
    run.write_json(name, SOUP.to_json())
    assert (run.read_soup(), run.read_result()) == (SOUP, None)
    run.record_export({"path": "onnx/1"})
    assert run.read_soup() == SOUP.with_export({"path": "onnx/1"})
    with pytest.raises(WorkdirError, match="an average of 2 runs"):
        run.check_same_run(CONFIG)


def test_an_export_is_added_to_the_result(tmp_path):
    run = RunDirectory(tmp_path)
    run.record_export({"path": "onnx/1"})
    assert run.read_result() is None
    run.write_result(golden_result(export=[]))
    run.record_export({"path": "onnx/1"})
    assert run.read_result() == golden_result(export=[{"path": "onnx/1"}])


def test_a_result_of_another_program_is_one_line(tmp_path):
    (tmp_path / "result.json").write_text('{"validation_accuracy": 0.5}')
    with pytest.raises(
        WorkdirError, match=r"result\.json as training wrote it\. Received: JSON without validation_loss"
    ) as raised:
        RunDirectory(tmp_path).read_result()
    assert "\n" not in str(raised.value)


def test_epochs_are_written_a_line_each_and_read(tmp_path):
    run, epochs = RunDirectory(tmp_path), golden_epochs()
    run.write_epochs(epochs)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == len(epochs)
    assert run.read_epochs(at_least=len(epochs)) == epochs
    with pytest.raises(WorkdirError, match="4 epochs of 5 or more"):
        run.read_epochs(at_least=5)


FILES = {
    "config.json": RunDirectory.read_config,
    "splits.json": RunDirectory.read_splits,
    "result.json": RunDirectory.read_result,
    "metrics.jsonl": RunDirectory.read_epochs,
    "logits.npz": RunDirectory.read_logits,
    "audit.json": RunDirectory.read_audit,
    "images.json": lambda run: run.knows_revision("a"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_directory_in_the_place_of_a_file_is_one_line(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(
        WorkdirError, match=f"expected .*{re.escape(name)} as training wrote it. Received: Is a directory"
    ):
        FILES[name](RunDirectory(tmp_path))


def test_a_revision_is_remembered_beside_that_of_the_config(tmp_path):
    run = RunDirectory(tmp_path)
    assert not run.knows_revision("a") and not run.knows_revision(None)
    run.remember_revision("a")
    assert run.knows_revision("a") and not run.knows_revision("b") and not run.knows_revision(None)


def test_a_table_has_the_bytes_of_a_name_that_is_not_utf_8(tmp_path):
    RunDirectory(tmp_path).write_text("out_of_fold.csv", "image,label\ncaf\udce9.png,cat\n")
    assert (tmp_path / "out_of_fold.csv").read_bytes() == b"image,label\ncaf\xe9.png,cat\n"
