"""Tests of tl_keras.tpu_check: the compiler is real, the TPU is not there."""

import importlib.util
import json
import subprocess
import sys

import keras
import pytest

from tl_keras.backbones.teacher_files import EXAMPLE

missing = [name for name in ("jax", "libtpu") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason=f"no {missing}: pip install 'tl_keras[tpu-check]'"),
    pytest.mark.parametrize("strategy", ["jax", "tpu"]),
]


def tpu_check(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tl_keras.tpu_check", "--data=digits", "--json", "--nolargest", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Operations of one answer at 224 px: twice the multiplications that Sandler et al. 2018 and He et al. 2016 give.
@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:1x1"])
@pytest.mark.parametrize(("backbone", "flops"), [("MobileNetV2", 0.6e9), ("ResNet50", 7.7e9)])
def test_a_whole_backbone_compiles_for_a_tpu(strategy, backbone, flops, topology):
    options = [f"--strategy={strategy}", f"--backbone={backbone}", f"--topology={topology}", "--weights=none"]
    options += ["--image_size=224", "--method=fine_tune", "--unfreeze=all", "--batch_norm=train", "--batch_size=128"]
    done = tpu_check(*options)
    assert done.returncode == 0, done.stderr
    step = json.loads(done.stdout)["step"]
    assert (step["backend"] == "jax", step["all_reduces"] > 0) == (strategy == "jax", topology == "v5e:2x2")
    # An answer, and its gradients by inputs and by weights.
    assert step["flops"] * step["chips"] / 128 == pytest.approx(3 * flops, rel=0.3)


def test_a_teacher_that_rotates_images_is_refused(strategy, tmp_path):
    layers = [keras.Input((32, 32, 3)), keras.layers.RandomRotation(0.1), keras.layers.Conv2D(4, 3)]
    keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()]).save(tmp_path / "teacher.keras")
    (tmp_path / "teacher.preprocess.json").write_text(json.dumps({**EXAMPLE.to_json(), "image_size": 32}))
    done = tpu_check(
        f"--strategy={strategy}", f"--backbone={tmp_path / 'teacher.keras'}", "--method=feature_extraction"
    )
    assert done.returncode == 2
    assert "Received: RandomRotation in the model" in done.stderr.splitlines()[-1]
