"""Parses what to unfreeze, in one language for flags, configs, schedules and sweeps; `tl_keras.freezing` resolves it."""

from __future__ import annotations

import dataclasses
import re

from tl_keras.errors import BackboneError, nearest

_KINDS = ("none", "all", "blocks", "layers", "fraction", "from", "regex")
LANGUAGE = "none, all, blocks:N, layers:N, fraction:F, from:NAME or regex:R"


@dataclasses.dataclass(frozen=True)
class Unfreeze:
    """The user's choice of what to unfreeze, in parts.

    Attributes:
      kind: `none`, `all`, `blocks`, `layers`, `fraction`, `from` or `regex`.
      count: Number N of `blocks` and `layers`, at least 1.
      fraction: Fraction F of `fraction`, above 0 and up to 1.
      name: Name of `from`, or expression of `regex`.
    """

    kind: str
    count: int = 0
    fraction: float = 0.0
    name: str = ""


def parse_unfreeze(text: str) -> Unfreeze:
    """Parses a text in the `unfreeze` language, without checking it against a backbone.

    Raises:
      BackboneError: The text does not belong to the language.
    """
    kind, separator, value = text.partition(":")
    if text in ("none", "all"):
        return Unfreeze(text)
    if kind in ("blocks", "layers") and separator:
        if not value.isascii() or not value.isdigit() or int(value[:9]) < 1:
            raise BackboneError(f"unfreeze: expected {kind}:N with N of at least 1. Received: {text}. Use {kind}:2.")
        return Unfreeze(kind, count=int(value[:9]))
    if kind == "fraction" and separator:
        return Unfreeze(kind, fraction=_fraction(value, text))
    if kind == "from" and value:
        return Unfreeze(kind, name=value)
    if kind == "regex" and value:
        try:
            re.compile(value)
        except re.error as error:
            raise BackboneError(f"unfreeze: expected a regular expression. Received: {value} ({error}).") from error
        return Unfreeze(kind, name=value)
    raise BackboneError(f"unfreeze: expected {LANGUAGE}. Received: {text}. {nearest(kind, _KINDS)}".strip())


def _fraction(value: str, text: str) -> float:
    try:
        fraction = float(value)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise BackboneError(f"unfreeze: expected fraction:F with F above 0 and at most 1. Received: {text}.")
    return fraction
