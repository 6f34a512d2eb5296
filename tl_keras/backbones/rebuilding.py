"""Rebuilds networks: with random weights, or with a layer more."""

from __future__ import annotations

from typing import Any

import keras


def with_random_weights(backbone: keras.Model) -> keras.Model:
    """Returns a network like another with random weights, which follow from the run's seed, even if its layers have their own."""
    return keras.models.clone_model(backbone, clone_function=_without_seed)


def _without_seed(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(_without_seeds(layer.get_config()))


def _without_seeds(config: Any) -> Any:
    if isinstance(config, dict):
        return {name: None if name == "seed" else _without_seeds(value) for name, value in config.items()}
    return [_without_seeds(value) for value in config] if isinstance(config, list) else config


def with_rescaling(backbone: keras.Model, factors: tuple[float, ...]) -> keras.Model:
    """Returns a network, its weights random, with a Rescaling by some factors after its Normalization."""

    def call(layer: keras.layers.Layer, *arguments: Any, **keywords: Any) -> Any:
        outputs = layer(*arguments, **keywords)
        return (
            keras.layers.Rescaling(list(factors))(outputs) if isinstance(layer, keras.layers.Normalization) else outputs
        )

    return keras.models.clone_model(backbone, call_function=call)
