"""Tests of tl_keras.runs.finished, on the files of a real run."""

import json
import random
import shutil
import subprocess
import sys

import pytest
from forked_commands import run_command

from tl_keras.config import quick_start
from tl_keras.errors import WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.finished import finished_result
from tl_keras.training.loop import train_and_evaluate

FILES = [
    "config.json",
    "splits.json",
    "labels.txt",
    "metrics.jsonl",
    "result.json",
    "model.keras",
    "proof.npz",
    "logits.npz",
]


@pytest.fixture(scope="module")
def trained(small_teacher, tmp_path_factory):
    """A finished run without exports."""
    config = quick_start()
    config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
    config.model.method, config.training.epochs, config.export = "feature_extraction", 3, "none"
    workdir = tmp_path_factory.mktemp("finished") / "run"
    train_and_evaluate(config, workdir)
    return workdir


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def refused(workdir, name):
    """Whether the directory is refused in one line that names the file and the remedy."""
    with pytest.raises(WorkdirError, match=r"Remove it: the command that trained writes it again") as raised:
        finished_result(RunDirectory(workdir))
    return f"expected {workdir / name} as training wrote it" in str(raised.value) and "\n" not in str(raised.value)


def test_a_whole_run_is_finished_and_says_how_many_epochs_it_trained(copy):
    result = finished_result(RunDirectory(copy))
    assert result.to_json() == json.loads((copy / "result.json").read_text())
    assert result.epochs == 3


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_too_early_anywhere_is_refused(copy, name):
    content = (copy / name).read_bytes()
    whole = len(content) if name == "labels.txt" else len(content.rstrip(b"\n"))
    ends = {0, 1, whole - 1, *random.Random(0).sample(range(whole), min(30, whole))}
    if name in ("labels.txt", "metrics.jsonl"):  # after a whole line
        ends |= {at + 1 for at, byte in enumerate(content[: whole - 1]) if byte == ord("\n")}
    for end in sorted(ends):
        (copy / name).write_bytes(content[:end])
        assert refused(copy, name), end
    (copy / name).write_bytes(content)
    assert finished_result(RunDirectory(copy))


@pytest.mark.parametrize("name", FILES)
def test_other_content_or_a_directory_in_place_of_a_file_is_refused(copy, name):
    (copy / name).write_bytes(bytes(range(256)))
    assert refused(copy, name)
    (copy / name).unlink()
    (copy / name).mkdir()
    assert refused(copy, name)


@pytest.mark.parametrize("name", FILES)
def test_a_removed_file_is_one_line_and_written_again_by_training(copy, name, capsys):
    (copy / name).unlink()
    assert finished_result(RunDirectory(copy)) is None
    said = capsys.readouterr().err
    assert said == ("" if name == "result.json" else f"{copy}: {name} is missing and written again\n")


@pytest.mark.parametrize("gone", [["config.json"], ["config.json", "model.keras"], ["config.json", "labels.txt"]])
def test_without_config_and_checkpoints_one_thing_is_said(copy, capsys, gone):
    shutil.rmtree(copy / "checkpoints")
    for name in gone:
        (copy / name).unlink()
    with pytest.raises(WorkdirError, match=r"expected config\.json and a checkpoint beside result\.json"):
        finished_result(RunDirectory(copy))
    assert capsys.readouterr().err == ""


def test_labels_may_be_edited(copy):
    lines = (copy / "labels.txt").read_text().splitlines()
    (copy / "labels.txt").write_text("".join(f"numero {line}\n" for line in lines))
    assert finished_result(RunDirectory(copy))


def test_the_command_says_it_in_one_line_with_status_2(small_teacher, copy):
    (copy / "model.keras").write_bytes((copy / "model.keras").read_bytes()[:1000])
    options = ["--method=feature_extraction", "--epochs=3", "--export=none", "--weights=imagenet"]
    done = run_command("train", f"--workdir={copy}", f"--backbone={small_teacher}", *options)
    assert (done.returncode, done.stdout) == (2, "")
    _, said = done.stderr.splitlines()  # the first names what is read
    assert said.startswith(f"error: workdir: expected {copy / 'model.keras'} as training wrote it")


def test_it_needs_no_tensorflow(copy):
    code = (
        "import sys; from tl_keras.runs import directory, finished\n"
        f"print(finished.finished_result(directory.RunDirectory({str(copy)!r})).epochs, 'tensorflow' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3 False\n"
    )
