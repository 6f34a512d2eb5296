"""Locks dataclasses to their own fields and declared types, so that a typo is an error from Python too."""

from __future__ import annotations

import dataclasses
import numbers
import os
from typing import Any

from tl_keras.errors import ConfigError, nearest

_EXPECTED = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


class Locked:
    """Base class of a dataclass whose fields are the only attributes that can be set."""

    def __new__(cls, *values: Any, **fields: Any) -> Any:
        """Returns an instance whose fields are not filled in yet.

        Raises:
          ConfigError: A field is unknown.
        """
        for name in fields:
            _require_field(cls, name)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        _require_field(type(self), name)
        super().__setattr__(name, value)


def _require_field(cls: type, name: str) -> None:
    known = [field.name for field in dataclasses.fields(cls)]
    if name not in known:
        raise ConfigError(
            f"{cls.__name__}: expected one of its fields. Received: {name}. "
            f"{nearest(name, known) or 'The fields are: ' + ', '.join(known) + '.'}".strip()
        )


def require_types(values: Any) -> None:
    """Raises a ConfigError that names the first field of a dataclass, nested ones included, whose value has the wrong type.

    A NumPy number counts as a number, and a path as text.
    """
    for field in dataclasses.fields(values):
        value, expected = getattr(values, field.name), field.type
        if isinstance(expected, type) and dataclasses.is_dataclass(expected):
            if not isinstance(value, expected):
                raise ConfigError(f"{field.name}: expected a {expected.__name__}. Received: {_shown(value)}.")
            require_types(value)
        elif not _is_a(value, expected):
            raise ConfigError(f"{field.name}: expected {_EXPECTED[expected]}. Received: {_shown(value)}.")  # type: ignore[index]


def plain(value: Any) -> Any:
    """Returns a value accepted by `require_types` as a JSON type; for the argument `default` of `json.dumps`."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


def _is_a(value: Any, expected: Any) -> bool:
    if expected is str:
        return isinstance(value, (str, os.PathLike))
    is_truth = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")
    if expected is bool or is_truth:
        return expected is bool and is_truth
    return isinstance(value, numbers.Integral if expected is int else numbers.Real)


def _shown(value: Any) -> str:
    return f"{str(value)!r:.100}, which is {type(value).__name__}"
