"""Tests of tl_keras.freezing."""

import keras
import numpy as np
import pytest

from tl_keras.backbones.specs import backbone_spec
from tl_keras.errors import BackboneError
from tl_keras.freezing import plan_freezing

BLOCKS = backbone_spec("MobileNetV2").blocks


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)


def a_plan(backbone, unfreeze, *, train_batch_norm=False):
    return plan_freezing(backbone, BLOCKS, unfreeze=unfreeze, train_batch_norm=train_batch_norm)


def first_trained(backbone, plan):
    return backbone.layers[min(plan.trained)].name


@pytest.mark.parametrize(
    ("unfreeze", "first"),
    [
        ("all", "input"),
        ("blocks:1", "Conv_1"),
        ("blocks:2", "block_16_expand"),
        ("blocks:19", "input"),
        ("layers:3", "Conv_1"),
        ("from:Conv_1", "Conv_1"),
        ("from:block_13_expand", "block_13_expand"),
        ("from:block 13", "block_13_expand"),
    ],
)
def test_what_is_trained_begins_at_the_layer_asked_for(backbone, unfreeze, first):
    plan = a_plan(backbone, unfreeze)
    assert first_trained(backbone, plan).startswith(first)
    assert plan.trained == set(range(min(plan.trained), len(backbone.layers)))
    assert not plan.note


@pytest.mark.parametrize(
    ("unfreeze", "block"),
    [("layers:4", "block 16"), ("from:block_13_depthwise", "block 13"), ("fraction:0.05", "block 16")],
)
def test_a_cut_inside_a_block_is_moved_to_its_edge_and_said(backbone, unfreeze, block):
    plan = a_plan(backbone, unfreeze)
    assert f"cuts inside {block}" in plan.note
    assert min(plan.trained) == min(a_plan(backbone, f"from:{block}").trained)


def test_regex_trains_exactly_what_it_matches(backbone):
    plan = a_plan(backbone, "regex:^block_1[56]_expand$")
    assert {backbone.layers[i].name for i in plan.trained} == {"block_15_expand", "block_16_expand"}


def test_none_trains_nothing(backbone):
    plan = a_plan(backbone, "none")
    plan.apply(backbone)
    assert backbone.trainable_weights == []
    assert plan.describe() == "all 19 blocks frozen"


def test_all_without_batch_norm_trains_all_but_batch_norm(backbone):
    a_plan(backbone, "all").apply(backbone)
    trained = {id(weight) for weight in backbone.trainable_weights}
    for layer in backbone.layers:
        is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
        assert all((id(weight) in trained) != is_batch_norm for weight in layer.weights)


def test_with_batch_norm_its_scale_trains_too(backbone):
    a_plan(backbone, "blocks:1", train_batch_norm=True).apply(backbone)
    assert [weight.path.split("/")[-1] for weight in backbone.trainable_weights] == ["kernel", "gamma", "beta"]


def test_a_plan_applied_after_another_undoes_it(backbone):
    a_plan(backbone, "all", train_batch_norm=True).apply(backbone)
    a_plan(backbone, "blocks:1").apply(backbone)
    assert len(backbone.trainable_weights) == 1


@pytest.mark.long
def test_frozen_batch_norm_keeps_its_statistics_in_fit(backbone):
    a_plan(backbone, "all").apply(backbone)
    model = keras.Sequential([backbone, keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("adam", "mse")  # whose first step is of the learning rate, however small the gradient
    statistics = [weight.numpy() for weight in backbone.weights if "moving" in weight.path]
    kernel = backbone.get_layer("Conv_1").kernel.numpy()
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3))
    model.fit(images, np.ones((4, 2)), verbose=0)
    after = [weight.numpy() for weight in backbone.weights if "moving" in weight.path]
    assert all(np.array_equal(a, b) for a, b in zip(statistics, after, strict=True))
    assert not np.array_equal(kernel, backbone.get_layer("Conv_1").kernel.numpy())


def test_the_blocks_of_a_plan_count_every_parameter_once(backbone):
    plan = a_plan(backbone, "blocks:2")
    assert sum(block.parameters for block in plan.blocks) == backbone.count_params()
    assert sum(block.layers for block in plan.blocks) == len(backbone.layers)
    assert plan.describe() == "2 of 19 blocks train (block 16 to top conv)"


@pytest.mark.parametrize(
    "unfreeze",
    [
        "blocks:0",
        "blocks:20",
        "blocks:",
        "blocks:two",
        "blocks:-1",
        "layers:0",
        "layers:9999",
        "fraction:0",
        "fraction:2",
    ]
    + [
        "fraction:x",
        "fraction:nan",
        "from:",
        "from:conv_99",
        "regex:",
        "regex:(",
        "regex:nothing",
        "regex:relu$",
        "last",
        "",
    ],
)
def test_what_names_no_layer_is_refused_in_one_line(backbone, unfreeze):
    with pytest.raises(BackboneError, match="unfreeze: expected") as raised:
        a_plan(backbone, unfreeze)
    assert "\n" not in str(raised.value)


def test_the_nearest_layer_is_offered(backbone):
    with pytest.raises(BackboneError, match=r"Did you mean .*block_13_expand"):
        a_plan(backbone, "from:block13_expand")
