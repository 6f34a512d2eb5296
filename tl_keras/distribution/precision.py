"""Decides what training computes in: float32, or bfloat16 in the backbone if the hardware is faster with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from tl_keras.keras_internals import all_layers


def dtype_policy(precision: str, device: str) -> str:
    """Returns Keras's name of the dtype policy.

    Args:
      precision: One of `tl_keras.config.PRECISIONS`.
      device: Device as in `Hardware`; `auto` takes bfloat16 on a TPU, whose multipliers take nothing wider.
    """
    if precision == "auto":
        precision = "bfloat16" if device == "tpu" else "float32"
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]


@contextlib.contextmanager
def computing_in(policy: str, backbone: keras.Model) -> Iterator[None]:
    """Makes the layers of a backbone compute by a policy in steps traced while the context is open, and restores them after.

    Weights are float32 either way, so that the same student trains in bfloat16 and is measured, saved and exported in
    float32. The head, from the pooling on, has its own layers and stays float32.
    """
    layers = [layer for layer in all_layers(backbone) if not isinstance(layer, keras.Model)]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.dtype_policy = own
