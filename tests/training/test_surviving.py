"""Runs that are stopped from outside, at any moment, and end as one that was not."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

OPTIONS = ["--method=fine_tune", "--epochs=3", "--unfreeze=blocks:2", "--nocache", "--export=none", "--noreport"]
OPTIONS += ["--config.training.head_epochs=3"]
SAME = ("validation_accuracy", "test_accuracy", "validation_loss", "kept_epoch", "freeze_proof", "hashes")


def start(workdir: pathlib.Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "tl_keras.train", f"--workdir={workdir}", *OPTIONS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def result_of(workdir: pathlib.Path) -> dict:
    result = json.loads((workdir / "result.json").read_text())
    return {name: result[name] for name in SAME}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of a run that nothing disturbed, and the seconds that it took."""
    workdir, began = tmp_path_factory.mktemp("whole") / "run", time.perf_counter()
    process = start(workdir)
    assert process.communicate() and process.returncode == 0
    return result_of(workdir), time.perf_counter() - began


def stop_at_random(process: subprocess.Popen, number: int, seed: int, seconds: float) -> None:
    """Sends a signal at a moment that follows from a seed."""
    try:
        process.wait(random.Random(seed).uniform(0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(20))
def test_a_run_stopped_at_any_moment_ends_as_one_that_was_not(tmp_path, whole, seed, number):
    expected, seconds = whole
    stop_at_random(start(tmp_path / "run"), number, seed, seconds)
    process = start(tmp_path / "run")
    assert process.communicate() and process.returncode == 0
    assert result_of(tmp_path / "run") == expected


def test_sigterm_saves_the_last_epoch_and_has_a_status_of_its_own(tmp_path):
    from tl_keras.training.checkpoints import read_checkpoint

    process, epochs = start(tmp_path / "run"), 0
    for line in process.stderr:
        epochs += line.startswith("  epoch")
        if epochs == 2:
            process.terminate()
            break
    _, said = process.communicate()
    assert process.returncode == 143
    assert said.splitlines()[-1] == "stopped; the same command goes on from the last epoch"
    checkpoint, damage = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.npz")
    assert damage == ""
    assert len(checkpoint.progress.history) >= 2
