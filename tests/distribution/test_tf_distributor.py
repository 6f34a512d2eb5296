"""Tests of tl_keras.distribution.tf_distributor, on parts of the CPU."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="needs a machine without a GPU")


def small_run(strategy: str, replicas: int) -> dict:
    """Returns what `small_run.py` prints: the devices of a process can be parted once only."""
    script = pathlib.Path(__file__).with_name("small_run.py")
    printed = subprocess.check_output([sys.executable, script, strategy, str(replicas)], text=True)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
def test_four_replicas_train_and_count_as_one_does():
    one, four = small_run("cpu", 0), small_run("mirrored", 4)
    assert one["accuracy"] == four["accuracy"]
    assert one["test_accuracy"] == four["test_accuracy"]
    for name, losses in one.items():
        np.testing.assert_allclose(four[name], losses, atol=1e-5)


RUN = """
import sys, tl_keras
from tl_keras.config import quick_start
config = quick_start()
config.strategy, config.replicas = sys.argv[1], int(sys.argv[2])
config.data.augmentation, config.data.train_examples_per_class = "light", 5
config.model.unfreeze, config.model.batch_norm, config.model.dropout = "blocks:2", "train", 0.0
config.training.head_epochs, config.training.epochs, config.export = 1, 3, "none"
tl_keras.train_and_evaluate(config, sys.argv[3])
"""


@pytest.mark.slow
def test_a_whole_run_on_four_replicas_ends_as_on_one(tmp_path):
    runs = []
    for strategy, replicas in (("cpu", 0), ("mirrored", 4)):
        subprocess.run([sys.executable, "-c", RUN, strategy, str(replicas), tmp_path / strategy], check=True)
        result = json.loads((tmp_path / strategy / "result.json").read_text())
        history = [json.loads(line) for line in (tmp_path / strategy / "metrics.jsonl").read_text().splitlines()]
        runs.append((result, history))
    (one, history_of_one), (four, history_of_four) = runs
    assert (four["hardware"]["replicas"], four["test_accuracy"]) == (4, one["test_accuracy"])
    for name in ("loss", "validation_loss"):
        expected = [epoch[name] for epoch in history_of_one]
        np.testing.assert_allclose([epoch[name] for epoch in history_of_four], expected, atol=1e-4)
