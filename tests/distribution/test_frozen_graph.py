"""The constant graph gives Keras's numbers, and what is folded is gone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.distribution.frozen_graph import frozen_graph


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)


def _with_random_weights(model):
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return model


def _operations(function):
    return [
        node.op for node in function.graph.as_graph_def().node if node.op not in ("Const", "Placeholder", "Identity")
    ]


def _network(*layers):
    tensor = inputs = keras.Input((16, 16, 3))
    for layer in layers:
        tensor = layer(tensor)
    return _with_random_weights(keras.Model(inputs, tensor))


def test_normalisation_is_folded_into_a_convolution_with_bias(images):
    model = _network(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU())
    function = frozen_graph(model)
    assert _operations(function) == ["Conv2D", "BiasAdd", "Relu"]
    np.testing.assert_allclose(function(tf.constant(images))[0], model(images), atol=1e-5)


def test_normalisation_is_folded_into_a_depthwise_convolution(images):
    layers = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), keras.layers.BatchNormalization()
    model = _network(*layers)
    function = frozen_graph(model)
    assert _operations(function) == ["DepthwiseConv2dNative", "BiasAdd"]
    np.testing.assert_allclose(function(tf.constant(images))[0], model(images), atol=1e-5)


def test_padding_that_tensorflow_would_choose_is_absorbed(images):
    model = _network(keras.layers.ZeroPadding2D(((0, 1), (0, 1))), keras.layers.Conv2D(4, 3, strides=2))
    function = frozen_graph(model)
    assert "Pad" not in _operations(function)
    np.testing.assert_allclose(function(tf.constant(images))[0], model(images), atol=1e-5)


def test_other_padding_stays(images):
    model = _network(keras.layers.ZeroPadding2D(((1, 0), (1, 0))), keras.layers.Conv2D(4, 3, strides=2))
    function = frozen_graph(model)
    assert "Pad" in _operations(function)
    np.testing.assert_allclose(function(tf.constant(images))[0], model(images), atol=1e-5)


def test_a_convolution_that_is_looked_at_stays_what_it_is(images):
    convolved = keras.layers.Conv2D(4, 3)(inputs := keras.Input((16, 16, 3)))
    model = keras.Model(inputs, [convolved, keras.layers.BatchNormalization()(convolved)])
    _with_random_weights(model)
    for ours, expected in zip(frozen_graph(model)(tf.constant(images)), model(images), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_any_batch_size_and_several_inputs():
    first, second = keras.Input((4,)), keras.Input((2,))
    model = keras.Model([first, second], keras.layers.Concatenate()([first, second]))
    function = frozen_graph(model)
    for batch in (1, 5):
        assert function(tf.zeros((batch, 4)), tf.ones((batch, 2)))[0].shape == (batch, 6)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0"])
@pytest.mark.slow
def test_real_architectures_agree(name):
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(64, 64, 3))
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    difference = np.abs(frozen_graph(model)(tf.constant(images))[0] - expected).max()
    assert difference <= 1e-4 * np.abs(expected).max()
