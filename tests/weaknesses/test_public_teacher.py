"""Tests of tl_keras.weaknesses.public_teacher, on the embedded teacher."""

import pytest

from tl_keras.config import ModelConfig
from tl_keras.weaknesses.public_teacher import load_public_teacher, shared_blocks, spread_depths

CONFIG = ModelConfig(backbone="MobileNetV2", weights="embedded", method="fine_tune", unfreeze="blocks:4")


@pytest.fixture(scope="module")
def public():
    return load_public_teacher(CONFIG)


@pytest.fixture
def backbone(public):
    """A student's backbone, whose block 14 has been trained."""
    student = load_public_teacher(CONFIG).network.backbone
    start = sum(block.layers for block in public.network.plan.blocks[:14])
    trained = next(layer for layer in student.layers[start:] if layer.weights)
    trained.set_weights([weight + 0.1 for weight in trained.get_weights()])
    return student


def test_a_student_from_random_weights_has_none():
    assert load_public_teacher(ModelConfig(method="replicate", weights="embedded")) is None
    assert load_public_teacher(ModelConfig(method="feature_extraction", weights="none")) is None


def test_without_the_weights_of_its_top_its_classes_are_unknown(public):
    assert not public.knows_its_classes


def test_blocks_are_shared_up_to_the_first_that_was_trained(public, backbone):
    assert shared_blocks(public, backbone) == 14
    assert shared_blocks(public, public.network.backbone) == len(public.network.plan.blocks) == 19


def test_depths_are_spread_and_mark_the_cut_of_the_student(public, backbone):
    depths = spread_depths(public, backbone, CONFIG)
    assert [depth.blocks for depth in depths] == [4, 8, 11, 14, 15, 19]
    assert [depth.name for depth in depths if depth.is_cut] == ["block 12"]  # after stem and block 0
    assert depths[-1].name == "the pooling"
    assert depths[-1].below.output_shape == (None, public.network.backbone.output_shape[-1])
