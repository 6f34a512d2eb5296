"""Tests of tl_keras.backbones.output_stride: where networks end, and that what they make there is what the whole one makes."""

import keras
import numpy as np
import pytest

from tl_keras.backbones.output_stride import end_at_stride, maps_by_stride
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError


def backbone(name, **options) -> keras.Model:
    return build_backbone(choose_backbone(ModelConfig(backbone=name, weights="none", **options)))


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("MobileNetV2", {8: (28, 28, 192), 16: (14, 14, 576), 32: (7, 7, 1280)}),
        ("EfficientNetLite0", {8: (28, 28, 240), 16: (14, 14, 672), 32: (7, 7, 1280)}),
        ("ResNet50V2", {8: (28, 28, 512), 16: (14, 14, 1024), 32: (7, 7, 2048)}),
        ("AlexNet", {8: (27, 27, 192), 16: (13, 13, 256), 32: (6, 6, 256)}),
    ],
)
def test_a_map_is_the_last_before_the_network_halves_it(name, maps):
    found = maps_by_stride(backbone(name))
    assert {stride: tuple(tensor.shape[1:]) for stride, tensor in found.items() if stride >= 8} == maps


def test_what_it_makes_is_what_the_whole_network_makes_there():
    whole = backbone("MobileNetV2", alpha=0.35, image_size=96)
    part = end_at_stride(whole, 8, name="MobileNetV2")
    between = keras.Model(whole.input, whole.get_layer("block_6_expand_relu").output)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)
    np.testing.assert_array_equal(part(images), between(images))


def test_the_map_of_the_largest_stride_is_the_whole_network():
    whole = backbone("MobileNetV2", alpha=0.35, image_size=96)
    assert len(end_at_stride(whole, 32, name="MobileNetV2").layers) == len(whole.layers)


def test_a_map_that_is_not_there_is_refused_and_the_others_are_named():
    with pytest.raises(BackboneError, match=r"expected one of 2, 4, 8, 16, 32, the maps of MobileNetV2\. Received: 12"):
        end_at_stride(backbone("MobileNetV2", alpha=0.35, image_size=96), 12, name="MobileNetV2")


def test_a_network_without_maps_is_refused():
    images = keras.Input((32, 32, 3))
    patches = keras.layers.Conv2D(4, 8, strides=8)(images)
    tokens = keras.Model(images, keras.layers.Dense(4)(keras.layers.Reshape((16, 4))(patches)))
    with pytest.raises(BackboneError, match=r"output_stride: a file has no maps.* Received: 8\. Leave it out\."):
        end_at_stride(tokens, 8, name="a file")
