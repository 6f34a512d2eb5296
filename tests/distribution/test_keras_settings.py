"""Tests of tl_keras.distribution.keras_settings."""

import re
import zipfile

import keras
import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.distribution.keras_settings import own_keras_settings
from tl_keras.serving.predictor import load_predictor
from tl_keras.training.loop import train_and_evaluate

DEFAULTS = ("float32", "channels_last", "float32")
SETTINGS = [
    ("float32", "channels_last", "mixed_float16"),
    ("float32", "channels_last", "mixed_bfloat16"),
    ("float16", "channels_last", "float16"),
    ("float64", "channels_last", "float64"),
    ("float32", "channels_first", "float32"),
]


def current():
    return keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name


def choose(floatx, image_data_format, policy):
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(image_data_format)
    keras.config.set_dtype_policy(policy)


@pytest.fixture(params=SETTINGS, ids="-".join)
def program(request):
    """The settings of the user's program, in force during the test."""
    choose(*request.param)
    yield request.param
    choose(*DEFAULTS)


def test_settings_are_put_aside_and_put_back_also_after_an_error(program):
    with pytest.raises(KeyError), own_keras_settings():
        assert current() == DEFAULTS
        raise KeyError
    assert current() == program


@pytest.mark.long
@pytest.mark.parametrize(
    "program", [SETTINGS[0], ("float64", "channels_first", "float64")], indirect=True, ids="-".join
)
def test_a_run_is_written_in_float32_and_channels_last(small_teacher, tmp_path, program):
    config = TransferConfig()
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.export = 1, "none"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 20, 20, 3)).astype(np.uint8)
    train_and_evaluate(config, tmp_path / "run", source=ArraySource(images, np.arange(24) % 2))
    assert current() == program
    load_predictor(tmp_path / "run")
    with zipfile.ZipFile(tmp_path / "run" / "model.keras") as archive:
        written = archive.read("config.json").decode()
    assert "float32" in written
    assert not re.search("float16|float64|channels_first", written)
