"""Folds a BatchNorm that keeps its statistics and weights into the convolution before it, for steps that train the convolution.

Keras multiplies and adds after each convolution, over all pixels of all images, and the gradient passes through both again.
Scaling the kernel in place of the pixels leaves one addition, which TensorFlow fuses with the convolution. Results are the
same, to rounding.
"""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tl_keras.keras_internals import graph_nodes, graphs, takers


@contextlib.contextmanager
def folded_batch_norm(model: keras.Model) -> Iterator[None]:
    """Folds every frozen BatchNorm of a model that alone takes the output of a convolution, in steps traced in the context."""
    pairs = list(_pairs(model))
    before = [(layer, vars(layer).get("call")) for pair in pairs for layer in pair]
    for convolution, norm in pairs:
        convolution.call = functools.partial(_convolve, convolution, norm)
        norm.call = _unchanged
    try:
        yield
    finally:
        for layer, call in before:
            del layer.call  # uncovers the method of the class
            if call is not None:  # of another context
                layer.call = call


def _pairs(model: keras.Model) -> Iterator[tuple[Any, keras.layers.BatchNormalization]]:
    """Yields each convolution whose output goes through a frozen BatchNorm and nowhere else, with that BatchNorm."""
    calls = collections.Counter(id(node.operation) for graph in graphs(model) for node in graph_nodes(graph))
    for graph in graphs(model):
        taken_by = takers(graph)
        for node in graph_nodes(graph):
            after = taken_by[id(node.output_tensors[0])]
            if len(after) != 1 or after[0] is None:
                continue
            convolution, norm = node.operation, after[0].operation
            if calls[id(convolution)] == calls[id(norm)] == 1 and _folds(convolution, norm):
                yield convolution, norm


def _folds(convolution: Any, norm: Any) -> bool:
    """Returns whether two operations that follow each other are a convolution and a frozen BatchNorm, both in float32."""
    return (
        type(convolution) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and type(norm) is keras.layers.BatchNormalization
        and convolution.activation is keras.activations.linear
        and convolution.data_format == "channels_last"
        and not norm.trainable
        and norm.axis in (-1, 3)
        and convolution.compute_dtype == norm.compute_dtype == "float32"
    )


def _convolve(convolution: Any, norm: keras.layers.BatchNormalization, inputs: tf.Tensor) -> tf.Tensor:
    """Returns what the BatchNorm makes of the convolution."""
    scale = tf.math.rsqrt(tf.convert_to_tensor(norm.moving_variance) + norm.epsilon)
    if norm.gamma is not None:
        scale *= tf.convert_to_tensor(norm.gamma)
    before = -tf.convert_to_tensor(norm.moving_mean)
    if convolution.use_bias:
        before += tf.convert_to_tensor(convolution.bias)
    shift = before * scale
    if norm.beta is not None:
        shift += tf.convert_to_tensor(norm.beta)
    options = {
        "strides": convolution.strides,
        "padding": convolution.padding,
        "dilation_rate": convolution.dilation_rate,
        "data_format": convolution.data_format,
    }
    kernel = tf.convert_to_tensor(convolution.kernel)
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        outputs = keras.ops.depthwise_conv(inputs, kernel * tf.reshape(scale, kernel.shape[-2:]), **options)
    else:
        outputs = keras.ops.conv(inputs, kernel * scale, **options)
    return tf.nn.bias_add(outputs, shift)


def _unchanged(inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
    return inputs
