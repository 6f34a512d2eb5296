"""Builds the head: from the backbone's feature map, or its tokens, to one logit per class."""

from __future__ import annotations

import math
from collections.abc import Iterable

import keras
import tensorflow as tf


def apply_head(
    features: keras.KerasTensor, *, head: str, num_classes: int, head_units: int, dropout: float
) -> keras.KerasTensor:
    """Applies a new head to a feature map or to tokens; see `initialize_head` for its weights.

    Args:
      features: Symbolic tensor, the output of the backbone: (batch, height, width, channels); of a transformer of images (batch,
        tokens, channels); (batch, channels) if the backbone pools it itself.
      head: `linear` (average pooling and one dense layer) or `mlp` (a hidden layer of `head_units` between).
      num_classes: Number of logits.
      head_units: Width of the hidden layer of `mlp`.
      dropout: Rate before the last layer, 0 to below 1.

    Returns:
      Symbolic tensor, float32 (batch, num_classes): logits, in float32 under every precision policy.
    """
    pooling = {
        4: keras.layers.GlobalAveragePooling2D,
        3: keras.layers.GlobalAveragePooling1D,
        2: keras.layers.Identity,
    }[len(features.shape)]
    x = pooling(name="features")(features)
    if head == "mlp":
        x = keras.layers.Dense(head_units, activation="relu", name="hidden")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)


def initialize_head(layers: Iterable[keras.layers.Layer], *, seed: int) -> None:
    """Sets the weights of a head's layers, and the state of its dropout, from a seed.

    Kernels are Glorot uniform (Glorot and Bengio 2010, equation 16), the same on TensorFlow and JAX; biases are 0.
    """
    for position, layer in enumerate(layers):
        if isinstance(layer, keras.layers.Dense):
            limit = math.sqrt(6 / sum(layer.kernel.shape))
            with tf.device("CPU:0"):
                kernel = tf.random.stateless_uniform(layer.kernel.shape, [seed + position, 0], -limit, limit)
            layer.kernel.assign(kernel.numpy())
            layer.bias.assign(keras.ops.zeros_like(layer.bias.value))
        elif isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([seed, position])


def zero_logits(layers: Iterable[keras.layers.Layer]) -> None:
    """Sets the kernel of a head's last layer to zeros, so that it begins with the same answer for every image."""
    logits = list(layers)[-1]
    logits.kernel.assign(keras.ops.zeros_like(logits.kernel.value))
