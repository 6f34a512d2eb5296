"""Tests of several processes that train together: real ones, on this machine, on TensorFlow and on JAX."""

import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.errors import ConfigError

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install 'tl_keras[jax]'"
)
on_both_engines = pytest.mark.parametrize(
    ("strategy", "alone"), [("multi_worker", "cpu"), pytest.param("jax", "jax", marks=needs_jax)]
)
SMALL_RUN = pathlib.Path(__file__).with_name("small_run.py")


def two_workers(arguments: list, *, more: tuple[str, ...] = ("", "")) -> list[subprocess.Popen]:
    """Starts a script or module as each of the workers of a cluster on this machine; one gets one of `more`, if any."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("localhost", 0))
        addresses = [f"localhost:{each.getsockname()[1]}" for each in (first, second)]
    workers = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}
        command = [sys.executable, *arguments, *filter(None, [more[index]])]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        workers.append(subprocess.Popen(command, env=environment, text=True, **pipes))
    return workers


def ended(workers: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Waits for all; returns exit status, output and errors of each."""
    said = [worker.communicate(timeout=600) for worker in workers]
    return [(worker.returncode, *texts) for worker, texts in zip(workers, said, strict=True)]


def small_run(strategy: str, *, alone: bool) -> list[dict]:
    """Returns what `small_run.py` prints, of each process."""
    os.environ["KERAS_BACKEND"] = "jax" if strategy == "jax" else "tensorflow"
    arguments = [SMALL_RUN, strategy, "0"]
    if alone:
        return [json.loads(subprocess.check_output([sys.executable, *arguments], text=True).splitlines()[-1])]
    outcomes = ended(two_workers(arguments))
    assert [status for status, _, _ in outcomes] == [0, 0], outcomes
    return [json.loads(output.splitlines()[-1]) for _, output, _ in outcomes]


@pytest.mark.slow
@on_both_engines
def test_two_workers_end_with_the_weights_of_one(monkeypatch, strategy, alone):
    monkeypatch.setenv("KERAS_BACKEND", "")  # and back afterwards
    (one,) = small_run(alone, alone=True)
    first, second = small_run(strategy, alone=False)
    assert first == second
    assert one["test_accuracy"] == first["test_accuracy"]
    for name, values in one.items():
        np.testing.assert_allclose(first[name], values, atol=1e-5)


OPTIONS = ["--epochs=3", "--config.training.head_epochs=3", "--unfreeze=blocks:1", "--batch_norm=train", "--nocache"]
OPTIONS += ["--config.model.dropout=0.0", "--augmentation=light", "--export=none"]
# Few images: JAX takes its time over the frozen layers on a CPU.
OPTIONS += ["--config.data.validation_fraction=0.05", "--config.data.test_fraction=0.05"]
OPTIONS += ["--config.data.train_examples_per_class=4"]


def train(workdir: pathlib.Path, strategy: str) -> list:
    return ["-m", "tl_keras.train", f"--workdir={workdir}", f"--strategy={strategy}", *OPTIONS]


def outcome_of(workdir: pathlib.Path) -> dict:
    result = json.loads((workdir / "result.json").read_text())
    losses = [json.loads(line)["loss"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {**{name: result[name] for name in ("test_accuracy", "test_loss", "kept_epoch")}, "losses": losses}


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_the_same_commands_end_as_one_process_does(tmp_path):
    subprocess.run([sys.executable, *train(tmp_path / "alone", "cpu")], check=True, capture_output=True)

    first, second = two_workers(train(tmp_path / "run", "multi_worker"))
    for line in second.stderr:
        if line.startswith("  epoch 4/6"):
            break
    second.kill()
    killed = time.perf_counter()
    (status, _, said), _ = ended([first, second])
    assert time.perf_counter() - killed < 120
    assert status == 1
    assert said.splitlines()[-1].startswith(
        "error: workers: expected all 2 to train on. Received: one that has stopped"
    )
    assert not (tmp_path / "run" / "result.json").exists()

    assert [status for status, _, _ in ended(two_workers(train(tmp_path / "run", "multi_worker")))] == [0, 0]
    resumed, whole = outcome_of(tmp_path / "run"), outcome_of(tmp_path / "alone")
    assert (resumed["test_accuracy"], resumed["kept_epoch"]) == (whole["test_accuracy"], whole["kept_epoch"])
    np.testing.assert_allclose(resumed["losses"], whole["losses"], atol=1e-4)
    np.testing.assert_allclose(resumed["test_loss"], whole["test_loss"], atol=1e-4)


@needs_jax
@pytest.mark.slow
def test_the_first_of_two_workers_on_jax_exports_and_reports(tmp_path, small_teacher):
    command = ["-m", "tl_keras.train", f"--workdir={tmp_path / 'run'}", "--strategy=jax", f"--backbone={small_teacher}"]
    command += [*OPTIONS, "--unfreeze=layers:4", "--export=saved_model"]
    outcomes = ended(two_workers(command))
    assert [status for status, _, _ in outcomes] == [0, 0], outcomes
    assert not [said for _, _, said in outcomes if "warning" in said.lower()]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["export"][0]["largest_difference"] <= 1e-5
    assert (tmp_path / "run" / "report.html").is_file()


GATHERING = """
from tl_keras import command_line
command_line.require_tensorflow("jax")
from tl_keras.distribution.distributor import open_distributor
from tl_keras.distribution.hardware import resolve_hardware

def main(arguments):
    distributor = open_distributor(resolve_hardware("jax"))
    print(distributor.all_gather(1), flush=True)
    while True:
        distributor.all_gather(1)

command_line.run(main, usage="", arguments=[])
"""


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "number", "seconds"), [(0, signal.SIGKILL, 15), (1, signal.SIGKILL, 15), (1, signal.SIGSTOP, 60)]
)
def test_a_worker_that_is_lost_ends_the_other_on_jax_in_one_line(lost, number, seconds):
    workers = two_workers(["-c", GATHERING])
    assert "[1, 1]\n" in workers[lost].stdout  # reads until it comes
    workers[lost].send_signal(number)
    began = time.perf_counter()
    _, said = workers[1 - lost].communicate(timeout=120)
    assert time.perf_counter() - began < seconds
    workers[lost].kill()
    workers[lost].communicate()
    assert workers[1 - lost].returncode == 1
    assert said.splitlines()[-1].startswith(
        "error: workers: expected all 2 to train on. Received: one that has stopped"
    )


@pytest.mark.slow
def test_workers_with_different_options_are_refused(tmp_path):
    outcomes = ended(two_workers(train(tmp_path / "run", "auto"), more=("", "--seed=1")))
    assert [status for status, _, _ in outcomes] == [2, 2]
    for _, _, said in outcomes:
        assert said.splitlines()[-1].startswith("error: workers: expected the same options")


def test_workers_that_nothing_names_are_refused():
    with pytest.raises(ConfigError, match="multi_worker expected TF_CONFIG"):
        resolve_hardware("multi_worker")


@pytest.mark.parametrize("strategy", ["auto", "multi_worker"])
def test_workers_that_are_named_are_joined_and_never_left_out(monkeypatch, strategy):
    cluster = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 2}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    hardware = resolve_hardware(strategy)
    assert (hardware.strategy, hardware.process, hardware.processes) == ("multi_worker", 2, 3)
    assert "3 workers" in hardware.reason


@pytest.mark.parametrize("strategy", ["cpu", "gpu"])
def test_one_device_is_refused_where_workers_are_named(monkeypatch, strategy):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(ConfigError, match=r"each would train alone.*Use --strategy=multi_worker"):
        resolve_hardware(strategy)
