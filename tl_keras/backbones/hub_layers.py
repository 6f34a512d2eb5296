"""Makes layers of KerasHub load from the configs that they write, which some of them do not (0.32: ViT, DeiT)."""

from __future__ import annotations

import functools
import inspect
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
