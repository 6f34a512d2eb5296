"""Tests of tl_keras.distribution.fused_batch_norm, against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.distribution.distributor import Distributor
from tl_keras.distribution.fused_batch_norm import fused_batch_norm
from tl_keras.distribution.hardware import resolve_hardware


def a_network(**options) -> keras.Model:
    """Returns a network with one BatchNorm, with weights unlike its initial ones."""
    inputs = keras.Input((6, 5, 3))
    layer = keras.layers.BatchNormalization(name="norm", **options)
    model = keras.Model(inputs, keras.layers.ReLU()(layer(inputs)))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def trained_step(model: keras.Model, *, images: int, training: bool = True):
    """Returns outputs, gradients of weights and input, and the weights after a traced step; and the step's operations."""

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=training)
            loss = tf.reduce_sum(outputs * outputs * tf.range(outputs.shape[-1], dtype=tf.float32))
        return outputs, tape.gradient(loss, [inputs, *[weight.value for weight in model.trainable_weights]])

    inputs = tf.constant(np.random.default_rng(1).normal(2, 3, (images, 6, 5, 3)), tf.float32)
    outputs, gradients = step(inputs)
    operations = {operation.type for operation in step.get_concrete_function(inputs).graph.get_operations()}
    return [outputs, *gradients, *model.get_weights()], operations


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": False}, {"center": False}, {"momentum": 0.0}, {"axis": 3, "epsilon": 1.001e-5}],
    ids=["default", "no scale", "no centre", "no momentum", "axis 3"],
)
@pytest.mark.parametrize("images", [1, 7])
def test_a_step_is_that_of_keras(options, images):
    expected, operations = trained_step(a_network(**options), images=images)
    assert "FusedBatchNormV3" not in operations
    model = a_network(**options)
    with fused_batch_norm(model):
        found, operations = trained_step(model, images=images)
    assert "FusedBatchNormV3" in operations
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"trainable": False}, {"axis": 1}, {"epsilon": 1e-6}],
    ids=["frozen", "another axis", "an epsilon that cuDNN refuses"],
)
def test_what_the_operation_cannot_do_keras_does(options):
    model = a_network(**options)
    with fused_batch_norm(model):
        found, operations = trained_step(model, images=4)
    assert "FusedBatchNormV3" not in operations
    expected, _ = trained_step(a_network(**options), images=4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_evaluation_takes_the_moving_statistics():
    model = a_network()
    with fused_batch_norm(model):
        found, operations = trained_step(model, images=4, training=False)
    assert "FusedBatchNormV3" not in operations
    for one, other in zip(found, trained_step(a_network(), images=4, training=False)[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_bfloat16_is_normalised_in_float32():
    inputs = tf.constant(np.random.default_rng(0).normal(size=(4, 6, 5, 3)), tf.bfloat16)
    model = a_network(dtype="mixed_bfloat16")
    with fused_batch_norm(model):
        found = model.get_layer("norm")(inputs, training=True)
    expected = a_network(dtype="mixed_bfloat16").get_layer("norm")(inputs, training=True)
    assert found.dtype == expected.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(found, tf.float32), tf.cast(expected, tf.float32), rtol=1e-2, atol=1e-2)


def test_layers_are_as_they_were_afterwards(tmp_path):
    model = a_network()
    with pytest.raises(ZeroDivisionError), fused_batch_norm(model):
        raise ZeroDivisionError
    assert "FusedBatchNormV3" not in trained_step(model, images=4)[1]
    model.save(tmp_path / "model.keras")
    keras.models.load_model(tmp_path / "model.keras")


def test_one_device_fits_with_it():
    model = a_network()
    with Distributor(resolve_hardware("cpu")).fitting(model):
        assert "FusedBatchNormV3" in trained_step(model, images=4)[1]
