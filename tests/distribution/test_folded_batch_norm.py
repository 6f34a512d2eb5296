"""Tests of tl_keras.distribution.folded_batch_norm, against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.distribution.distributor import Distributor
from tl_keras.distribution.folded_batch_norm import folded_batch_norm
from tl_keras.distribution.hardware import resolve_hardware

LAYERS = keras.layers


def a_network(make=lambda: LAYERS.Conv2D(4, 3, strides=2), *, nested=False, trainable=False, **options) -> keras.Model:
    """Returns a convolution, a BatchNorm and an activation, with weights unlike the initial ones."""
    inputs = keras.Input((8, 8, 3))
    norm = LAYERS.BatchNormalization(name="norm", trainable=trainable, **options)
    model = keras.Model(inputs, LAYERS.ReLU(6.0)(norm(make()(inputs))))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    if nested:
        images = keras.Input((8, 8, 3))
        model = keras.Model(images, model(2.0 * images))
    return model


def seen_twice() -> keras.Model:
    """Returns a network that takes the output of a convolution before its BatchNorm as well."""
    inputs = keras.Input((8, 8, 3))
    made = LAYERS.Conv2D(3, 3, padding="same")(inputs)
    return keras.Model(inputs, LAYERS.Add()([made, LAYERS.BatchNormalization(trainable=False)(made)]))


def called_twice() -> keras.Model:
    """Returns a network that calls a convolution twice, once with a BatchNorm after it."""
    inputs, layer = keras.Input((8, 8, 3)), LAYERS.Conv2D(3, 3, padding="same")
    return keras.Model(inputs, LAYERS.BatchNormalization(trainable=False)(layer(layer(inputs))))


def trained_step(model: keras.Model):
    """Returns outputs and gradients of a traced step, and how often it multiplies whole batches of images."""

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=True)
            loss = tf.reduce_sum(outputs * tf.range(outputs.shape[-1], dtype=tf.float32))
        return outputs, tape.gradient(loss, [inputs, *[weight.value for weight in model.trainable_weights]])

    inputs = tf.constant(np.random.default_rng(1).normal(0, 1, (5, 8, 8, 3)), tf.float32)
    outputs, gradients = step(inputs)
    operations = step.get_concrete_function(inputs).graph.get_operations()
    shapes = [operation.outputs[0].shape for operation in operations if operation.type == "Mul"]
    return [outputs, *gradients], sum(shape.rank == 4 and shape[0] == len(inputs) for shape in shapes)


FOLDED = {
    "a convolution": a_network,
    "with a bias": lambda: a_network(lambda: LAYERS.Conv2D(4, 3, use_bias=True, bias_initializer="ones")),
    "in groups": lambda: a_network(lambda: LAYERS.Conv2D(6, 3, groups=3, use_bias=False)),
    "depthwise": lambda: a_network(lambda: LAYERS.DepthwiseConv2D(3, strides=2, depth_multiplier=2, use_bias=False)),
    "without scale": lambda: a_network(scale=False),
    "without centre": lambda: a_network(center=False, axis=3),
    "in a model of its own": lambda: a_network(nested=True),
}
AS_KERAS_HAS_IT = {
    "a BatchNorm that trains": lambda: a_network(trainable=True),
    "an activation between": lambda: a_network(lambda: LAYERS.Conv2D(4, 3, use_bias=False, activation="relu")),
    "another axis": lambda: a_network(axis=1),
    "bfloat16": lambda: a_network(lambda: LAYERS.Conv2D(4, 3, use_bias=False, dtype="mixed_bfloat16")),
    "an output that is taken twice": seen_twice,
    "a convolution that is called twice": called_twice,
}


@pytest.mark.parametrize(
    ("make", "folds"),
    [*((make, True) for make in FOLDED.values()), *((make, False) for make in AS_KERAS_HAS_IT.values())],
    ids=[*FOLDED, *AS_KERAS_HAS_IT],
)
def test_a_step_is_that_of_keras(make, folds):
    model = make()
    expected, before = trained_step(model)
    with folded_batch_norm(model):
        found, after = trained_step(model)
    assert after < before if folds else after == before
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_layers_are_as_they_were_after_a_fold(tmp_path):
    model = a_network()
    before = trained_step(model)[1]
    with pytest.raises(ZeroDivisionError), folded_batch_norm(model):
        raise ZeroDivisionError
    assert trained_step(model)[1] == before
    model.save(tmp_path / "model.keras")


def test_one_device_fits_with_folded_layers():
    model = a_network()
    before = trained_step(model)[1]
    with Distributor(resolve_hardware("cpu")).fitting(model):
        assert trained_step(model)[1] < before
