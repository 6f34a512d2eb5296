"""Locks dataclasses to their own fields, so that a typo is an error from Python too."""

from __future__ import annotations

import dataclasses
from typing import Any

from tl_keras.errors import ConfigError, nearest


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
