"""Runs that are stopped from outside, at any moment, and end as one that was not."""

import json
import os
import pathlib
import random
import signal
import time

import pytest
from forked_commands import run_command, start_command

OPTIONS = ["--method=fine_tune", "--epochs=20", "--unfreeze=layers:4", "--nocache", "--export=none", "--noreport"]
OPTIONS += ["--batch_norm=train", "--augmentation=light", "--config.training.head_epochs=10"]
SAME = ("validation_accuracy", "test_accuracy", "validation_loss", "kept_epoch", "freeze_proof", "hashes")


def options(teacher: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    return [f"--workdir={workdir}", f"--backbone={teacher}", *OPTIONS]


def ended(teacher: pathlib.Path, workdir: pathlib.Path, *, number: int = 0, seconds: float | None = None) -> int:
    """Runs a command, sends it a signal after some seconds unless it has ended, and returns its exit status."""
    process = start_command("train", *options(teacher, workdir))
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid, number)
    process.join()
    return process.exitcode


def result_of(workdir: pathlib.Path) -> dict:
    result = json.loads((workdir / "result.json").read_text())
    return {name: result[name] for name in SAME}


@pytest.fixture(scope="module")
def whole(small_teacher, tmp_path_factory):
    """The result of a run that nothing disturbed, and the seconds that it took."""
    run_command("train", "--help")  # waits until TensorFlow is imported, so that the moments fall into the run
    workdir, began = tmp_path_factory.mktemp("whole") / "run", time.perf_counter()
    assert ended(small_teacher, workdir) == 0
    return result_of(workdir), time.perf_counter() - began


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(20))
def test_a_run_stopped_at_any_moment_ends_as_one_that_was_not(small_teacher, tmp_path, whole, seed, number):
    expected, seconds = whole
    moment = random.Random(seed).uniform(0, seconds)
    assert ended(small_teacher, tmp_path / "run", number=number, seconds=moment) in (-number, 128 + number, 0)
    assert ended(small_teacher, tmp_path / "run") == 0
    assert result_of(tmp_path / "run") == expected


def test_sigterm_saves_the_last_epoch_and_has_a_status_of_its_own(small_teacher, tmp_path):
    from tl_keras.training.checkpoints import read_checkpoint

    said = tmp_path / "said"
    process = start_command("train", *options(small_teacher, tmp_path / "run"), stderr=said)
    while not said.exists() or said.read_text().count("  epoch") < 2:
        assert process.is_alive()
        time.sleep(0.02)
    process.terminate()
    process.join()
    assert process.exitcode == 143
    assert said.read_text().splitlines()[-1] == "stopped; the same command continues from the last epoch"
    checkpoint, damage = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.npz")
    assert damage == ""
    assert len(checkpoint.progress.history) >= 2


@pytest.mark.parametrize(
    ("seen", "number", "status"),
    [
        pytest.param("result.json", signal.SIGINT, 130, id="in the report", marks=pytest.mark.slow),
        pytest.param("exporting saved_model", signal.SIGTERM, 143, id="in the export"),
    ],
)
def test_a_run_stopped_after_training_says_that_it_is_trained(small_teacher, tmp_path, seen, number, status):
    run, said = tmp_path / "run", tmp_path / "said"
    command = [f"--workdir={run}", f"--backbone={small_teacher}", "--method=feature_extraction", "--epochs=2"]
    process = start_command("train", *command, stderr=said)
    while not ((run / seen).exists() or (said.exists() and seen in said.read_text())):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == status
    assert said.read_text().splitlines()[-1] == (
        f"stopped; training is finished and its result is in {run}; the same command reports and exports it"
    )
    done = run_command("train", *command)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/2" not in done.stderr
    assert "saved_model is missing or incomplete, and exported now" in done.stderr
    assert (run / "report.html").exists()
    assert [row["path"] for row in json.loads((run / "result.json").read_text())["export"]] == ["saved_model/1"]


@pytest.mark.slow
def test_a_damaged_export_is_made_again(small_teacher, tmp_path):
    run = tmp_path / "run"
    command = [f"--workdir={run}", f"--backbone={small_teacher}", "--method=feature_extraction", "--epochs=1"]
    assert run_command("train", *command).returncode == 0
    model = run / "saved_model" / "1" / "saved_model.pb"
    model.write_bytes(model.read_bytes()[:-1])
    done = run_command("train", *command)
    assert done.returncode == 0, done.stderr
    assert "saved_model is missing or incomplete, and exported now" in done.stderr
    assert (run / "saved_model" / "2").is_dir()
    assert "nothing is left to do" in run_command("train", *command).stderr
