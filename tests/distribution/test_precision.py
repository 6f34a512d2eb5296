"""Tests of tl_keras.distribution.precision."""

import keras
import numpy as np
import pytest

from tl_keras.config import quick_start
from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.distribution.precision import computing_in, dtype_policy
from tl_keras.training.loop import train_and_evaluate


@pytest.mark.parametrize(
    ("precision", "device", "policy"),
    [
        ("auto", "tpu", "mixed_bfloat16"),
        ("auto", "gpu", "float32"),
        ("auto", "cpu", "float32"),
        ("float32", "tpu", "float32"),
        ("bfloat16", "cpu", "mixed_bfloat16"),
    ],
)
def test_bfloat16_is_had_by_name_and_on_a_tpu(precision, device, policy):
    assert dtype_policy(precision, device) == policy


def test_the_record_has_the_policy():
    assert resolve_hardware("cpu").precision == "float32"
    assert resolve_hardware("cpu", precision="bfloat16").precision == "mixed_bfloat16"


def test_the_backbone_alone_computes_in_it_and_its_weights_stay_float32():
    inputs = keras.Input((4, 4, 3))
    backbone = keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(inputs)))
    whole = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(backbone(inputs))))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    exact = whole(images)
    with computing_in("mixed_bfloat16", backbone):
        assert keras.backend.standardize_dtype(backbone(images).dtype) == "bfloat16"
        rounded = whole(images)
        assert keras.backend.standardize_dtype(rounded.dtype) == "float32"
    assert {weight.dtype for weight in whole.weights} == {"float32"}
    assert 0 < np.abs(rounded - exact).max() < 0.05
    np.testing.assert_array_equal(whole(images), exact)


@pytest.mark.slow
def test_a_run_in_bfloat16_leaves_a_student_in_float32(tmp_path, small_teacher, capfd):
    config = quick_start()
    config.precision, config.model.backbone, config.model.unfreeze = "bfloat16", str(small_teacher), "layers:3"
    config.training.epochs = config.training.head_epochs = 2
    config.cache.enabled, config.export = False, "none"
    result = train_and_evaluate(config, tmp_path / "run")
    assert "the backbone trains in bfloat16" in capfd.readouterr().err
    assert result.hardware["precision"] == "mixed_bfloat16"
    assert [proof["frozen_unchanged"] > 0 for proof in result.freeze_proof] == [True, True]  # or the run ends
    student = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert {layer.dtype_policy.name for layer in student._flatten_layers()} == {"float32"}
