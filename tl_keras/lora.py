"""Trains dense layers through two small matrices each, and adds these to the kernels at the end (LoRA, Hu et al. 2021).

Keras's own `enable_lora` does the arithmetic: a kernel W counts as W + A B, of which A, of `rank` columns, and B, zeros at first,
are trained.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import keras

from tl_keras.errors import BackboneError
from tl_keras.keras_internals import all_layers, kernel_without_lora

_NAMES = ("lora_kernel_a", "lora_kernel_b")


def is_lora(weight: keras.Variable) -> bool:
    """Returns whether a weight is one of the small matrices."""
    return weight.name in _NAMES


def enable_lora(backbone: keras.Model, *, rank: int) -> None:
    """Gives every dense layer of a backbone its matrices, those inside of attention included; outputs stay the same.

    Args:
      backbone: Built network.
      rank: Number of columns of A, at least 1.

    Raises:
      BackboneError: It has no dense layer, as convolutional networks have none.
    """
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    layers = [layer for layer in all_layers(backbone) if isinstance(layer, dense)]
    if not layers:
        raise BackboneError(
            f"lora_rank: expected a transformer, whose dense layers have low-rank updates. Received: {backbone.name}, which has "
            "no dense layer. Leave lora_rank out."
        )
    for layer in layers:
        layer.enable_lora(rank)


def initialize_lora(backbone: keras.Model, *, seed: int) -> None:
    """Sets A from a seed (He et al. 2015, uniform, as Keras does) and B to zeros, the same on TensorFlow and JAX."""
    import tensorflow as tf  # as in `tl_keras.heads`

    for position, layer in enumerate(_adapted(backbone)):
        columns = layer.lora_kernel_a
        limit = math.sqrt(6 / math.prod(columns.shape[:-1]))
        with tf.device("CPU:0"):
            drawn = tf.random.stateless_uniform(columns.shape, [seed, position], -limit, limit)
        columns.assign(drawn.numpy())
        layer.lora_kernel_b.assign(keras.ops.zeros_like(layer.lora_kernel_b.value))


def merge_lora(backbone: keras.Model) -> None:
    """Adds the product of the matrices to the kernels, which makes the network an ordinary one of the same outputs."""
    for layer in _adapted(backbone):
        kernel_without_lora(layer).assign(layer.kernel)
        layer.lora_kernel_b.assign(keras.ops.zeros_like(layer.lora_kernel_b.value))


@contextlib.contextmanager
def as_ordinary(model: keras.Model) -> Iterator[None]:
    """Makes a merged network have the configs and weights of one without LoRA, while it is saved."""
    layers = list(_adapted(model))
    ranks = [layer.lora_rank for layer in layers]
    for layer in layers:
        layer.lora_enabled, layer.lora_rank = False, None
    try:
        yield
    finally:
        for layer, rank in zip(layers, ranks, strict=True):
            layer.lora_enabled, layer.lora_rank = True, rank


def _adapted(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers that have the matrices."""
    return (layer for layer in all_layers(model) if getattr(layer, "lora_enabled", False))
