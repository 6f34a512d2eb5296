"""Tests of tl_keras.tpu_check: the compiler is real, the TPU is not there."""

import importlib.util
import json
import subprocess
import sys

import keras
import pytest

missing = [name for name in ("jax", "libtpu") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason=f"no {missing}: pip install 'tl_keras[tpu-check]'"),
    pytest.mark.parametrize("strategy", ["jax", "tpu"]),
]


def tpu_check(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tl_keras.tpu_check", "--data=digits", "--json", "--nolargest", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:1x1"])
@pytest.mark.parametrize("backbone", ["MobileNetV2", "ResNet50"])
def test_a_whole_backbone_compiles_for_a_tpu(strategy, backbone, topology):
    options = [f"--strategy={strategy}", f"--backbone={backbone}", f"--topology={topology}", "--weights=none"]
    options += ["--image_size=224", "--method=fine_tune", "--unfreeze=all", "--batch_norm=train", "--batch_size=128"]
    done = tpu_check(*options)
    assert done.returncode == 0, done.stderr
    step = json.loads(done.stdout)["step"]
    assert (step["engine"] == "jax", step["all_reduces"] > 0) == (strategy == "jax", topology == "v5e:2x2")
    # Each chip's part; a step takes about three times the operations of an answer, which are 2 * 0.3e9 and 2 * 3.9e9.
    assert 3e9 < step["flops"] * step["chips"] / 128 * (1 if backbone == "ResNet50" else 10) < 60e9


def test_a_teacher_that_rotates_images_is_refused(strategy, tmp_path):
    layers = [keras.Input((32, 32, 3)), keras.layers.RandomRotation(0.1), keras.layers.Conv2D(4, 3)]
    keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()]).save(tmp_path / "teacher.keras")
    done = tpu_check(
        f"--strategy={strategy}", f"--backbone={tmp_path / 'teacher.keras'}", "--method=feature_extraction"
    )
    assert done.returncode == 2
    assert "Received: RandomRotation in the model" in done.stderr.splitlines()[-1]
