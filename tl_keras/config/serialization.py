"""Converts a config to JSON and back, and to a command; lists the differences of two."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from typing import Any

from tl_keras.config.cache_fields import CacheConfig
from tl_keras.config.data_fields import DataConfig
from tl_keras.config.decision_fields import DecisionConfig
from tl_keras.config.defaults import MIN_CROP_AREAS
from tl_keras.config.distillation_fields import DistillationConfig
from tl_keras.config.fields import TransferConfig
from tl_keras.config.model_fields import ModelConfig
from tl_keras.config.training_fields import TrainingConfig
from tl_keras.errors import ConfigError


def to_json(config: TransferConfig) -> dict[str, Any]:
    """Returns the config as nested dictionaries of JSON types."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=_plain))
    return values


def _plain(value: Any) -> Any:
    """Returns a path or a NumPy number as a JSON type."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


# Names of fields in earlier versions, by the part of the config.
_FORMER_NAMES = {"cache": {"engine": "inference_engine"}}


def from_json(values: dict[str, Any]) -> TransferConfig:
    """Returns the config that `to_json` of this version or an earlier one wrote; a field that it lacks gets its default.

    Raises:
      ConfigError: A field is unknown, for example because another version of tl_keras wrote it.
    """
    parts = {
        "data": DataConfig,
        "model": ModelConfig,
        "training": TrainingConfig,
        "cache": CacheConfig,
        "decision": DecisionConfig,
        "distillation": DistillationConfig,
    }
    try:
        return TransferConfig(
            **{
                name: parts[name](**_as_today(name, value)) if name in parts else value
                for name, value in values.items()
            }
        )
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"config: expected the fields of this version of tl_keras. {error}") from error


def _as_today(part: str, values: dict[str, Any]) -> dict[str, Any]:
    """Returns a part of a config that an earlier version may have written, with today's names and without what it did not do."""
    former = _FORMER_NAMES.get(part, {})
    renamed = {former.get(name, name): value for name, value in values.items()}
    if part == "data" and renamed.get("horizontal_flip", "auto") != "auto":
        # A run that was decided without them.
        renamed.setdefault("quarter_turns", "off")
        renamed.setdefault("min_crop_area", MIN_CROP_AREAS.get(renamed.get("augmentation", ""), 0.0))
    return renamed


def flatten(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of `to_json` under dotted names, such as `training.epochs`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": each for key, each in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns the dotted names of the fields in which two `to_json` dictionaries differ, each with both values."""
    flat_ours, flat_theirs = flatten(ours), flatten(theirs)
    names = sorted(flat_ours.keys() | flat_theirs.keys())
    missing = "(absent)"
    return [
        f"{name}: {flat_theirs.get(name, missing)} there, {flat_ours.get(name, missing)} now"
        for name in names
        if flat_ours.get(name, missing) != flat_theirs.get(name, missing)
    ]


def train_command(config: TransferConfig, workdir: str, *, every_field: bool = True) -> str:
    """Returns the command that trains with exactly this config.

    Args:
      config: A config, resolved where it is to train the same later.
      workdir: The run directory.
      every_field: Whether all fields are named, so that other defaults change nothing; else those that differ from today's.
    """
    defaults = {} if every_field else flatten(to_json(TransferConfig()))
    chosen = {name: value for name, value in flatten(to_json(config)).items() if value != defaults.get(name)}
    flags = [f"--config.{name}={value}" for name, value in chosen.items()]
    return shlex.join(["python", "-m", "tl_keras.train", f"--workdir={workdir}", *flags])
