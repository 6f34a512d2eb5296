"""Tests of tl_keras.training.split_student: on a real backbone of each kind, with random weights."""

import keras
import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.training.split_student import between, split_student

# Flat with BatchNorm, with bare operations, nested with LayerNorm, and with several tensors across an edge.
KINDS = ["MobileNetV2", "MobileNetV3Small", "ConvNeXtTiny", "NASNetMobile"]


@pytest.fixture(scope="module", params=KINDS)
def student(request):
    config = ModelConfig(backbone=request.param, weights="none", image_size=32, method="fine_tune", unfreeze="blocks:3")
    return build_student(choose_backbone(config), config, num_classes=3)


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.mark.parametrize("head_alone", [False, True])
def test_the_two_parts_give_what_the_whole_gives(student, images, head_alone):
    cut = split_student(student, student.plan.frozen() if head_alone else student.plan)
    logits = cut.trained(cut.frozen(images, training=False), training=False)
    np.testing.assert_array_equal(logits, student.model(images, training=False))


def test_the_layers_between_two_cuts_lead_from_one_to_the_other(student, images):
    shallow, deep = split_student(student, student.plan), split_student(student, student.plan.frozen())
    pooled = between(student, shallow, deep)(shallow.frozen(images, training=False), training=False)
    np.testing.assert_array_equal(pooled, deep.frozen(images, training=False))


def test_with_everything_frozen_the_head_alone_is_trained(student):
    trained = split_student(student, student.plan.frozen()).trained
    assert [weight.path for weight in trained.trainable_weights] == ["logits/kernel", "logits/bias"]


def test_the_pooling_decides_what_a_frozen_part_is():
    made = []
    for pooling in ("average", "max"):
        config = ModelConfig(weights="none", image_size=32, pooling=pooling, output_stride=8, unfreeze="none")
        keras.utils.set_random_seed(0)
        student = build_student(choose_backbone(config), config, num_classes=3)
        made.append(split_student(student, student.plan.frozen()).identity)
    average, largest = made
    assert largest == {**average, "pooling": "max"}


def test_a_regex_cuts_in_front_of_the_first_layer_it_names(images):
    config = ModelConfig(weights="none", image_size=32, method="fine_tune", unfreeze="regex:^block_(9|12)_expand$")
    student = build_student(choose_backbone(config), config, num_classes=3)
    cut = split_student(student, student.plan)
    assert student.backbone.layers[cut.position].name == "block_9_expand"
    np.testing.assert_array_equal(cut.trained(cut.frozen(images)), student.model(images))


def test_nothing_is_frozen_ahead_of_the_first_layer():
    config = ModelConfig(weights="none", image_size=32, method="fine_tune", unfreeze="all")
    cut = split_student(student := build_student(choose_backbone(config), config, num_classes=3), student.plan)
    assert cut.frozen is None
    assert isinstance(cut.trained, keras.Model)
