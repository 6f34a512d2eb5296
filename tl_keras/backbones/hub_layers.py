"""Mends layers of KerasHub 0.32: configs that do not load (ViT, DeiT), a wrong shape (SigLIP), and lost weights (DINOv2)."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras


def make_configs_loadable(model: keras.Model) -> None:
    """Corrects the `get_config` of the classes of a network's layers that come from KerasHub.

    Their configs hold values that their constructors compute and refuse, and lack arguments that the constructors take. KerasHub
    itself writes one config for a whole network, but a network that is cut and has a new head is written layer by layer.

    Args:
      model: Functional model.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            make_configs_loadable(layer)
        cls = type(layer)
        if cls.__module__.startswith("keras_hub.") and not hasattr(cls.get_config, "__wrapped__"):
            cls.get_config = _with_arguments_alone(cls.get_config)


def correct_layers() -> None:
    """Corrects two layers; call it before networks are built or loaded.

    The embedding of SigLIP tells a shape of one token more than it gives; a cut behind it needs the right one. That of DINOv2
    writes embeddings of positions that were trained only if their sum has become smaller.
    """
    import keras_hub

    siglip, dinov2 = (
        sys.modules[model.__module__]
        for model in (keras_hub.models.SigLIPVisionEncoder, keras_hub.models.DINOV2Backbone)
    )
    siglip.SigLIPVisionEmbedding.compute_output_shape = _shape_of_patches
    dinov2.DINOV2Embedding._is_interpolated_position_embeddings_updated = _is_trained


def _shape_of_patches(layer: Any, input_shape: tuple[int | None, ...]) -> tuple[int | None, int, int]:
    return input_shape[0], layer.num_positions, layer.hidden_dim


def _is_trained(layer: Any) -> bool:
    """Returns whether the embeddings in use are others than those that were loaded give."""
    loaded = layer._interpolate_position_embeddings(
        layer.position_embeddings,
        patch_size=layer.patch_size,
        source_shape=layer.position_embedding_shape,
        target_shape=layer.image_shape,
        antialias=layer.antialias_in_interpolation,
    )
    difference = keras.ops.max(keras.ops.abs(loaded - layer.interpolated_position_embeddings))
    return bool(difference > keras.config.epsilon())


def _with_arguments_alone(get_config: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Returns a `get_config` of the arguments of the constructor, taken from the attributes of their names where it lacks them."""

    @functools.wraps(get_config)
    def corrected(layer: keras.layers.Layer) -> dict[str, Any]:
        config = get_config(layer)
        accepted = inspect.signature(type(layer).__init__).parameters
        of_every_layer = ("name", "trainable", "dtype")
        kept = {name: value for name, value in config.items() if name in accepted or name in of_every_layer}
        lacking = [name for name in accepted if name not in kept and hasattr(layer, name)]
        return kept | {name: getattr(layer, name) for name in lacking}

    return corrected
