"""Runs BatchNorm in training as TensorFlow's single fused operation, where Keras 3 uses a dozen operations.

On two CPU cores, a step of MobileNetV2 with all weights and statistics trained takes half the processor time with it
(benchmarks/DIARY.md); convolutions take the rest.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from tl_keras.keras_internals import all_layers

# cuDNN refuses a smaller epsilon (CUDNN_BN_MIN_EPSILON, and TensorFlow's check in tf.nn.fused_batch_norm).
_LEAST_EPSILON = 1.001e-5


@contextlib.contextmanager
def fused_batch_norm(model: keras.Model) -> Iterator[None]:
    """Fuses every BatchNorm of a model that allows it, in steps traced while the context is open; results are the same.

    It works on one device with Keras's TensorFlow backend: the operation has no statistics over several replicas.
    """
    norms = [layer for layer in all_layers(model) if _is_fusible(layer)]
    for layer in norms:
        layer.call = functools.partial(_call, layer)
    try:
        yield
    finally:
        for layer in norms:
            del layer.call  # uncovers the method of the class


def _is_fusible(layer: keras.layers.Layer) -> bool:
    renorm = getattr(layer, "renorm", False)  # missing in Keras 3.10
    return (
        isinstance(layer, keras.layers.BatchNormalization)
        and layer.axis in (-1, 3)
        and layer.epsilon >= _LEAST_EPSILON
        and not renorm
    )


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    if not (training and layer.trainable) or mask is not None or len(inputs.shape) != 4:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    inputs = tf.cast(inputs, tf.float32)  # as Keras does
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The operation returns the unbiased variance estimate, n / (n - 1) times the batch's own variance.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= tf.maximum(count - 1, 1) / count
    for statistic, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        statistic.assign(statistic * layer.momentum + value * (1.0 - layer.momentum))
    return tf.cast(outputs, layer.compute_dtype)
