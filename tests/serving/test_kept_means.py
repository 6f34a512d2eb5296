"""Tests of tl_keras.serving.kept_means: what BatchNorms get keeps its mean although kernels and activations are rounded."""

import keras
import numpy as np
import pytest

from tl_keras.serving.kept_means import _round_kernels, kept_means


@pytest.fixture
def network():
    """A network whose BatchNorms magnify small differences, and some of its inputs."""
    keras.utils.set_random_seed(0)
    images = x = keras.Input((8, 8, 3))
    for number in range(3):
        layer = keras.layers.DepthwiseConv2D if number == 1 else keras.layers.Conv2D
        arguments = (3,) if number == 1 else (16, 3)
        x = layer(*arguments, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    model = keras.Model(images, x)
    random = np.random.default_rng(0)
    inputs = (0.8 + 0.002 * random.normal(size=(20, 8, 8, 3))).astype(np.float32)
    for norm in (layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)):
        shown = keras.Model(images, norm.input).predict(inputs, verbose=0)
        norm.moving_mean.assign(shown.mean((0, 1, 2)) - 0.1)  # so that few answers are below 0 or above 6
        norm.moving_variance.assign(np.full(norm.moving_variance.shape, 1e-3))
    return model, inputs


def test_rounded_kernels_answer_as_before_on_average_and_the_network_is_left_as_it_was(network):
    model, inputs = network
    before, exact = model.get_weights(), model.predict(inputs, verbose=0)
    with kept_means(model, inputs):
        kernel = model.layers[1].kernel.numpy()
        steps = kernel / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        corrected = np.abs(model.predict(inputs, verbose=0).mean((0, 1, 2)) - exact.mean((0, 1, 2))).mean()
        means = [layer.moving_mean.numpy() for layer in model.layers if hasattr(layer, "moving_mean")]
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    was = [layer.moving_mean.numpy() for layer in model.layers if hasattr(layer, "moving_mean")]
    assert all(np.abs(moved - kept).max() > 0 for moved, kept in zip(means, was, strict=True))
    assert corrected < 0.2
    _round_kernels(model)
    rounded_alone = np.abs(model.predict(inputs, verbose=0).mean((0, 1, 2)) - exact.mean((0, 1, 2))).mean()
    assert corrected < 0.5 * rounded_alone


def test_a_network_inside_another_keeps_its_means_too(network):
    inner, inputs = network
    images = keras.Input((8, 8, 3))
    before = inner.get_weights()
    with kept_means(keras.Model(images, inner(images)), inputs):
        assert any(np.any(value != kept) for value, kept in zip(inner.get_weights(), before, strict=True))


def test_a_network_without_batch_norm_stays_as_it_is(network):
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    before = model.get_weights()
    with kept_means(model, network[1]):
        for value, kept in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, kept)
