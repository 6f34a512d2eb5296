"""Tests of tl_keras.distribution.jax_distributor, on parts of the CPU, in processes in which Keras is on JAX."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install 'tl_keras[jax]'"
)
ON_JAX = {**os.environ, "KERAS_BACKEND": "jax"}


def small_run(replicas: int) -> dict:
    """Returns what `small_run.py` prints."""
    script = pathlib.Path(__file__).with_name("small_run.py")
    printed = subprocess.check_output([sys.executable, script, "jax", str(replicas)], text=True, env=ON_JAX)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
def test_four_replicas_train_and_count_as_one_does():
    one, four = small_run(1), small_run(4)
    assert one["accuracy"] == four["accuracy"]
    assert one["test_accuracy"] == four["test_accuracy"]
    for name, losses in one.items():
        np.testing.assert_allclose(four[name], losses, atol=1e-5)


OPTIONS = ["--epochs=2", "--config.training.head_epochs=2", "--unfreeze=blocks:2", "--batch_norm=train"]


def train(workdir: pathlib.Path, *options: str) -> dict:
    """Returns the result of a whole run."""
    command = [sys.executable, "-m", "tl_keras.train", f"--workdir={workdir}", *OPTIONS, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((workdir / "result.json").read_text())


@pytest.mark.slow
def test_a_whole_run_exports_on_tensorflow_what_jax_trained(tmp_path):
    import tensorflow as tf

    result = train(tmp_path / "run", "--strategy=jax", "--replicas=4")
    assert (result["hardware"]["engine"], result["hardware"]["replicas"]) == ("jax", 4)
    assert result["export"][0]["largest_difference"] <= 1e-5
    served = tf.saved_model.load(tmp_path / "run" / "saved_model" / "1").signatures["serving_default"]
    operations = {node.op for node in served.graph.as_graph_def().node}
    operations |= {node.op for function in served.graph.as_graph_def().library.function for node in function.node_def}
    assert not {name for name in operations if "Xla" in name or "TPU" in name}


@pytest.mark.slow
def test_images_that_do_not_divide_by_the_replicas_are_answered(tmp_path, small_teacher):
    options = ["--strategy=jax", "--replicas=4", f"--backbone={small_teacher}", "--unfreeze=layers:4", "--nocache"]
    result = train(tmp_path / "run", *options, "--export=none", "--noreport")
    assert result["images"]["test"] % 16 % 4 > 0
    assert result["test_accuracy"] >= 0


@pytest.mark.slow
def test_the_real_teacher_gives_the_same_test_accuracy_on_both_engines(tmp_path, shared_data):
    options = [f"--data={shared_data / 'flowers5'}", "--backbone=MobileNetV2", "--weights=imagenet", "--export=none"]
    options += ["--method=feature_extraction", "--unfreeze=none", "--config.training.head_epochs=0", "--epochs=20"]
    options += ["--config.model.dropout=0"]  # what it leaves out, each draws in its own way
    on_jax, on_tensorflow = (train(tmp_path / name, f"--strategy={name}", *options) for name in ("jax", "cpu"))
    images = on_jax["images"]["test"]
    assert abs(on_jax["test_accuracy"] - on_tensorflow["test_accuracy"]) * images <= 1.001
