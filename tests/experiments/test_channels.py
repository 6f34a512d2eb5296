"""Tests of tl_keras.experiments.channels, on small networks with random weights."""

import keras
import numpy as np
import pytest

from tl_keras.experiments.channels import InnerChannels, inner_channels, without_channels


def inverted_bottleneck():
    """A stem of 16 channels, and an expansion to 32 between two sums: the stem's channels are in a sum."""
    layers = keras.layers
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", name="stem")(images)
    y = layers.Conv2D(32, 1, use_bias=False, name="expand")(x)
    y = layers.ReLU(6.0, name="relu")(layers.BatchNormalization(name="norm")(y))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(y)
    y = layers.ReLU(6.0, name="relu_2")(layers.BatchNormalization(name="norm_2")(y))
    y = layers.Conv2D(16, 1, name="project")(y)
    return keras.Model(images, layers.Add()([x, y]))


def with_random_statistics(network, seed=0):
    random = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(
            random.uniform(0.2, 1.0, weight.shape) if "var" in weight.name else random.normal(0, 0.5, weight.shape)
        )
    return network


def test_only_channels_that_no_sum_sees_can_be_removed():
    between = ("norm", "relu", "depthwise", "norm_2", "relu_2")
    assert inner_channels(inverted_bottleneck()) == (InnerChannels("expand", between, "project", 32),)


@pytest.mark.parametrize(("part", "kept"), [(0.1, 32), (0.3, 24), (0.5, 16), (0.99, 8)])
def test_numbers_of_channels_are_multiples_of_eight(part, kept):
    assert InnerChannels("a", (), "b", 32).kept(part) == kept


def test_without_channels_that_add_nothing_the_network_gives_the_same():
    network = with_random_statistics(inverted_bottleneck())
    dead = np.random.default_rng(1).permutation(32)[:16]
    kernel, bias = network.get_layer("project").get_weights()
    kernel[:, :, dead] = 0
    network.get_layer("project").set_weights([kernel, bias])
    images = np.random.default_rng(2).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    before = np.asarray(network(images))
    pruned = without_channels(network, 0.5)
    np.testing.assert_allclose(pruned(images), before, atol=1e-5)
    np.testing.assert_array_equal(network(images), before)
    assert pruned.get_layer("depthwise").get_weights()[0].shape == (3, 3, 16, 1)
    assert network.count_params() - pruned.count_params() == 16 * (16 + 4 + 9 + 1 + 4 + 16)


def test_what_norms_close_is_removed_first():
    network = with_random_statistics(inverted_bottleneck())
    gamma, beta, mean, variance = network.get_layer("norm_2").get_weights()
    gamma[:], beta[:] = 0.5, np.linspace(1, 2, 32)
    beta[::2] = -9  # ReLU leaves nothing of these
    network.get_layer("norm_2").set_weights([gamma, beta, mean, variance])
    pruned = without_channels(network, 0.5)
    np.testing.assert_array_equal(pruned.get_layer("norm_2").get_weights()[1], beta[1::2])


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("MobileNetV2", 19),
        *(pytest.param(name, groups, marks=pytest.mark.slow) for name, groups in (("ResNet50", 32), ("VGG16", 12))),
    ],
)
def test_networks_of_keras_have_such_channels_and_take_images_without_them(name, groups):
    network = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(32, 32, 3))
    assert len(inner_channels(network)) == groups
    pruned = without_channels(network, 0.5)
    assert pruned.count_params() < 0.75 * network.count_params()
    assert pruned(np.zeros((1, 32, 32, 3))).shape == (1, *network.output_shape[1:])
