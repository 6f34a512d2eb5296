"""Makes transformers of KerasHub take images of another size: position embeddings are interpolated."""

from __future__ import annotations

import math
from typing import Any

import keras

from tl_keras.errors import BackboneError


def at_image_size(tower: keras.Model, side: int) -> keras.Model:
    """Returns a transformer for square images of a size, with the same weights; other networks as they are.

    Learnt embeddings of positions are a grid, which is resampled (Dosovitskiy et al. 2021, section 3.2). DINOv2 has the grid of its
    pre-training beside the one in use, and a file holds only the former, to which fine-tuned ones lose when they are resampled:
    here both are of the size in use.

    Args:
      tower: Image model of KerasHub.
      side: Height and width, in pixels.

    Raises:
      BackboneError: The size is no multiple of the patches'.
    """
    patch, config = getattr(tower, "patch_size", None), tower.get_config()
    if patch is None or "image_shape" not in config:
        return tower
    patch = patch if isinstance(patch, int) else patch[0]
    if side % patch:
        raise BackboneError(
            f"hub_image_size: expected a multiple of {patch}, the side of a patch of {tower.name}. Received: {side}. "
            f"Use --hub_image_size={max(round(side / patch), 1) * patch}."
        )
    wanted = {"image_shape": (side, side, 3)}
    if "position_embedding_shape" in config:
        wanted["position_embedding_shape"] = wanted["image_shape"]
    if all(tuple(config[name]) == shape for name, shape in wanted.items()):
        return tower
    resized = type(tower).from_config(config | wanted)
    antialias = getattr(tower, "antialias_in_interpolation", True)
    by_name = {weight.name: weight for weight in tower.weights}
    of_dinov2 = ("position_embeddings", "interpolated_position_embeddings")
    same_size = tuple(config["image_shape"]) == wanted["image_shape"]
    for old, new in zip(tower.weights, resized.weights, strict=True):
        if old.name in of_dinov2:
            old = by_name[of_dinov2[same_size]]
        if old.shape == new.shape:
            new.assign(old)
        elif keras.backend.is_float_dtype(new.dtype):  # numbers of positions are counted by the layer
            new.assign(_resampled(old, new.shape, grid=side // patch, antialias=antialias))
    return resized


def _resampled(embeddings: Any, shape: tuple[int, ...], *, grid: int, antialias: bool) -> Any:
    """Returns embeddings of positions, (..., tokens, channels), for another square grid; those before the patches stay."""
    table = keras.ops.reshape(embeddings, (-1, shape[-1]))
    before = shape[-2] - grid**2
    former = math.isqrt(table.shape[0] - before)
    patches = keras.ops.reshape(table[before:], (1, former, former, shape[-1]))
    patches = keras.ops.image.resize(
        patches, (grid, grid), interpolation="bicubic", antialias=antialias, data_format="channels_last"
    )
    patches = keras.ops.reshape(patches, (grid**2, shape[-1]))
    return keras.ops.reshape(keras.ops.concatenate([table[:before], patches]), shape)
