"""Parses options that are texts: splits, columns, an unfreezing schedule, export formats.

`unfreeze` has a module of its own, `tl_keras.unfreeze`.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from tl_keras.config.choices import EXPORTS, Column, SplitMeaning
from tl_keras.errors import ConfigError, nearest
from tl_keras.unfreeze import parse_unfreeze
from tl_keras.untrusted import parse_json


def parse_splits(text: str) -> dict[str, str] | None:
    """Returns the splits by the names (in lower case) that `data.splits` gives them; empty for `none`, None for an empty text.

    Raises:
      ConfigError: It is not of the form NAME=SPLIT,NAME=SPLIT.
    """
    if text in ("", "none"):
        return None if not text else {}
    short = {"val": "validation", "valid": "validation"}
    pairs = [
        (name.lower(), short.get(split, split)) for name, split in _pairs("splits", text, "fold_1=train,fold_2=test")
    ]
    for _, split in pairs:
        _require_one_of("splits", split, get_args(SplitMeaning))
    _require_once("splits", [name for name, _ in pairs], "Give each name one split.")
    return dict(pairs)


def parse_columns(text: str) -> dict[str, str]:
    """Returns the columns that `data.columns` names, by their content: image, label, split or group.

    Raises:
      ConfigError: It is not of the form WHAT=COLUMN,WHAT=COLUMN.
    """
    pairs = _pairs("columns", text, "image=id,label=breed") if text else []
    for what, _ in pairs:
        _require_one_of("columns", what, get_args(Column))
    _require_once(
        "columns", [what for what, _ in pairs], "Several columns of labels or numbers are label=COLUMN+COLUMN."
    )
    return dict(pairs)


def parse_group_by(text: str) -> str:
    """Returns `folder` or a regular expression, after checking that it is one.

    Raises:
      ConfigError: It is not.
    """
    try:
        re.compile(text)
    except re.error as error:
        raise ConfigError(
            f"group_by: expected folder or a regular expression. Received: {text} ({error}). Use --group_by='patient[0-9]+'."
        ) from error
    return text


def parse_layers(text: str) -> list[dict[str, Any]]:
    """Returns the configs of layers, as Keras serializes them, in a JSON list; which layers there are, Keras alone knows.

    Raises:
      ConfigError: It is not a JSON list of such configs.
    """
    layers = _json(text)
    if isinstance(layers, list) and layers and all(isinstance(each, dict) and "class_name" in each for each in layers):
        return layers
    raise ConfigError(
        f"head_layers: expected a JSON list of layers, as keras.saving.serialize_keras_object writes each. Received: {text:.60}. "
        "From Python, give tl_keras.fine_tune(head=[...])."
    )


def parse_optimizer(text: str) -> dict[str, Any]:
    """Returns the config of an optimizer, as Keras serializes it, from a JSON object.

    Raises:
      ConfigError: It is not one, or has no learning rate to begin with.
    """
    optimizer = _json(text)
    if isinstance(optimizer, dict) and "class_name" in optimizer and rate_of_optimizer(optimizer) > 0:
        return optimizer
    raise ConfigError(
        f"optimizer: expected a JSON object with class_name and a config with learning_rate. Received: {text:.60}. "
        """Use '{"class_name": "SGD", "config": {"learning_rate": 0.01}}'."""
    )


def rate_of_optimizer(optimizer: dict[str, Any]) -> float:
    """Returns the learning rate with which an optimizer or its schedule begins, or 0 if its config does not tell."""
    rate = _config_of(optimizer).get("learning_rate", 0)
    if isinstance(rate, dict):
        schedule = _config_of(rate)
        values = schedule.get("values")
        rate = schedule.get("initial_learning_rate") or (values[0] if isinstance(values, list) and values else 0)
    return float(rate) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else 0.0


def _config_of(serialized: dict[str, Any]) -> dict[str, Any]:
    """Returns the config of what Keras has serialized; empty where it has none."""
    config = serialized.get("config")
    return config if isinstance(config, dict) else {}


def _json(text: str) -> Any:
    """Returns the value of a JSON text, or None if it is none."""
    try:
        return parse_json(text)
    except ValueError:
        return None


def _pairs(name: str, text: str, example: str) -> list[tuple[str, str]]:
    pairs = [(left.strip(), right.strip()) for left, _, right in (pair.rpartition("=") for pair in text.split(","))]
    if not all(left and right for left, right in pairs):
        raise ConfigError(f"{name}: expected NAME=VALUE,NAME=VALUE, such as {example}. Received: {text}.")
    return pairs


def export_formats(export: str) -> tuple[str, ...]:
    """Returns the formats in a comma-separated list; an empty tuple for `none`.

    Raises:
      ConfigError: One of them is unknown.
    """
    formats = () if export == "none" else tuple(dict.fromkeys(name.strip() for name in export.split(",")))
    for name in formats:
        _require_one_of("export", name, EXPORTS)
    return formats


def parse_schedule(schedule: str, epochs: int) -> list[tuple[str, int]]:
    """Returns the cut and the number of epochs of each stage of an `unfreeze_schedule`.

    Raises:
      ConfigError: It is not of the form SPEC@EPOCH,SPEC@EPOCH with epochs that rise from 0.
    """
    if epochs == 0:
        raise ConfigError(
            f"unfreeze_schedule: expected the number of epochs beside it. Received: {schedule}, and epochs left to the number of "
            "images. Use --epochs=10, and --config.model.unfreeze_schedule=blocks:1@0,blocks:2@5."
        )
    try:
        pairs = [stage.rsplit("@", 1) for stage in schedule.split(",")]
        starts = [int(start) for _, start in pairs]
    except ValueError:
        starts = []
    if not starts or starts[0] != 0 or any(b <= a for a, b in zip(starts, [*starts[1:], epochs], strict=True)):
        raise ConfigError(
            f"unfreeze_schedule: expected SPEC@EPOCH,SPEC@EPOCH with epochs that rise from 0 to below {epochs}, such as "
            f"blocks:1@0{f',blocks:2@{epochs // 2}' if epochs > 1 else ''}. Received: {schedule}."
        )
    for stage, _ in pairs:
        parse_unfreeze(stage)
    lengths = [end - start for start, end in zip(starts, [*starts[1:], epochs], strict=True)]
    return [(pair[0], length) for pair, length in zip(pairs, lengths, strict=True)]


def _require_once(name: str, keys: list[str], remedy: str) -> None:
    if twice := next((key for number, key in enumerate(keys) if key in keys[:number]), None):
        raise ConfigError(f"{name}: expected each name once. Received: {twice} twice. {remedy}")


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"{name}: expected one of {', '.join(known)}. Received: {value}. {nearest(value, known)}".strip()
        )


def parse_budget(text: str) -> float:
    """Converts a time such as 90s, 10min or 2h to seconds; an empty text is 0, any time.

    Raises:
      ConfigError: The text is not a time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)", text or "0s")
    if match is None or (text and not float(match[1])):
        raise ConfigError(f"budget: expected a time such as 90s, 10min or 2h. Received: {text}.")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]
