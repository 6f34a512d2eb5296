"""Decides by the training images what the config leaves to them: how finely the teacher looks, and how images are varied."""

from __future__ import annotations

import dataclasses

from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.config.model_fields import OF_THE_MAP
from tl_keras.training.map_decision import decide_map
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.orientation import decide_orientation
from tl_keras.training.run_images import RunImages

_OF_THE_DATA = ("horizontal_flip", "quarter_turns")


def decide_by_images(config: TransferConfig, images: RunImages, models: ModelCache) -> tuple[TransferConfig, list[str]]:
    """Returns a resolved config in which nothing is left to the images, and the reasons.

    Args:
      config: Resolved config of a run.
      images: Its images.
      models: Cache that keeps the decisions for the next run of the same teacher on the same images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
    """
    model, of_the_map = decide_map(config, images, models)
    config = dataclasses.replace(config, model=model)
    data, of_orientation = decide_orientation(config, images, models)
    return dataclasses.replace(config, data=data), [*of_the_map, *of_orientation]


def decided_alike(config: TransferConfig, decided: TransferConfig) -> TransferConfig:
    """Returns a copy of a config with what the images have decided in another."""
    config = from_json(to_json(config))
    for name in OF_THE_MAP:
        setattr(config.model, name, getattr(decided.model, name))
    for name in _OF_THE_DATA:
        setattr(config.data, name, getattr(decided.data, name))
    return config
