"""Tests of tl_keras.backbones.blocks: what is found from a graph is as coarse as the table."""

import keras
import numpy as np
import pytest

from tl_keras.backbones.blocks import blocks_of
from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.backbones.teacher_files import load_teacher, read_teacher_file
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.freezing import plan_freezing

layers = keras.layers
QUICK = ("MobileNet", "MobileNetV2", "VGG16")


def network(*made, size=32) -> keras.Model:
    """A network of layers in a row, or of functions of a tensor."""
    images = x = keras.Input((size, size, 3))
    for layer in made:
        x = layer(x)
    return keras.Model(images, x)


def names(backbone) -> list[str]:
    return [block.name for block in blocks_of(backbone)]


def residual(channels, name):
    def apply(x):
        inner = layers.ReLU()(layers.Conv2D(channels, 3, padding="same")(x))
        return layers.Add(name=name)([x, layers.Conv2D(channels, 3, padding="same")(inner)])

    return apply


def gate(channels, name):
    """Squeeze-and-excitation."""

    def apply(x):
        factors = layers.Conv2D(channels, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Multiply(name=name)([x, factors])

    return apply


def dense(name):
    return lambda x: layers.Concatenate(name=name)([x, layers.Conv2D(4, 3, padding="same")(x)])


def conv(channels, name, size=3, **options):
    return layers.Conv2D(channels, size, padding="same", name=name, **options)


def depthwise(name):
    return layers.DepthwiseConv2D(3, padding="same", name=name)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            [conv(4, "stem"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu"), residual(4, "add")],
            ["relu", "add"],
            id="what has no kernel belongs to the block before it",
        ),
        pytest.param([residual(3, "one"), residual(3, "two")], ["one", "two"], id="residual blocks stay whole"),
        pytest.param(
            [conv(4, "stem"), conv(8, "expand", 1), depthwise("dw"), conv(4, "project", 1), conv(8, "top", 1)],
            ["stem", "project", "top"],
            id="an inverted bottleneck without a shortcut is one block",
        ),
        pytest.param(
            [conv(4, "expand", 1), depthwise("dw"), gate(4, "gate"), conv(4, "project", 1), residual(4, "add")],
            ["project", "add"],
            id="squeeze-and-excitation belongs to its bottleneck",
        ),
        pytest.param(
            [depthwise("dw1"), conv(4, "pw1", 1), depthwise("dw2"), conv(4, "pw2", 1)],
            ["pw1", "pw2"],
            id="a depthwise convolution has its pointwise one",
        ),
        pytest.param(
            [
                conv(4, "a1"),
                conv(4, "a2"),
                layers.MaxPooling2D(name="pool"),
                conv(4, "b1"),
                conv(8, "c1"),
                conv(8, "c2"),
            ],
            ["pool", "b1", "c2"],
            id="convolutions in a row of one size and width are one block",
        ),
        pytest.param(
            [
                conv(4, "stem"),
                dense("d1"),
                dense("d2"),
                conv(4, "transition", 1),
                layers.AveragePooling2D(2, name="pool"),
            ],
            ["stem", "d2", "pool"],
            id="a dense block is one block",
        ),
    ],
)
def test_parts_are_joined_as_papers_draw_them(made, expected):
    assert names(network(*made)) == expected


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in backbone_names()]
)
def test_as_many_blocks_are_found_as_the_table_has(name):
    spec = backbone_spec(name)
    config = ModelConfig(backbone=name, weights="none", image_size=max(64, spec.min_image_size))
    found = len(blocks_of(build_backbone(choose_backbone(config))))
    assert 0.75 <= found / len(spec.blocks) <= 1.25


def test_four_blocks_are_the_same_share_of_two_relatives(shared_data):
    """EfficientNet-Lite0, from a file, and MobileNetV2, from the table."""
    lite = load_teacher(read_teacher_file(str(shared_data / "teachers" / "efficientnet_lite0.keras")))
    assert len(blocks_of(lite)) == pytest.approx(len(backbone_spec("MobileNetV2").blocks), abs=1)


def test_additions_that_are_no_layers_are_seen():
    backbone = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(32, 32, 3))
    found = {block.anchor for block in blocks_of(backbone)}
    assert {block.anchor for block in backbone_spec("ConvNeXtTiny").blocks[1:-1]} <= found


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_the_edges_of_the_table_are_those_found(name):
    backbone = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(32, 32, 3))
    found = plan_freezing(backbone, blocks_of(backbone), unfreeze="none", train_batch_norm=False).blocks
    known = plan_freezing(backbone, backbone_spec(name).blocks, unfreeze="none", train_batch_norm=False).blocks
    assert ends(known[1:]) == ends(found[1:])


def ends(blocks) -> set[int]:
    return set(np.cumsum([block.layers for block in blocks][::-1]))
