"""Describes each option once: its default, type, range and meaning. `--help`, error messages and docs are made from this.

```python
@dataclasses.dataclass
class TrainingConfig(Locked):
    epochs: int = option(0, "Passes over the training images.", flag="epochs", zero="by their number", within=at_least(1))
```
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

from tl_keras.errors import ConfigError, nearest

T = TypeVar("T")

_KINDS: dict[type, str] = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


@dataclasses.dataclass(frozen=True)
class Interval:
    """The numbers that an option can have.

    Attributes:
      low: The lower end.
      high: The upper end.
      open_low: Whether the lower end itself is left out.
      open_high: Whether the upper end itself is left out.
    """

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Returns whether a number lies inside; NaN does not."""
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        if self.open_low:
            upper = f" and {'below' if self.open_high else 'at most'} {self.high}"
            return f"above {self.low}{upper if self.high < math.inf else ''}"
        if self.high == math.inf:
            return f"from {self.low} up"
        return f"from {self.low} to {'below ' if self.open_high else ''}{self.high}"


ABOVE_0_BELOW_1 = Interval(0, 1, open_low=True, open_high=True)
ABOVE_0_TO_1 = Interval(0, 1, open_low=True)


def at_least(low: float) -> Interval:
    """Returns the numbers from `low` up."""
    return Interval(low)


def above(low: float) -> Interval:
    """Returns the numbers above `low`."""
    return Interval(low, open_low=True)


@dataclasses.dataclass(frozen=True)
class Description:
    """Description of an option.

    Attributes:
      text: Meaning of the option, in phrases that end with a full stop.
      flag: Name of the command-line flag that sets it; without one, `--config.PART.NAME` does.
      zero: Meaning of 0, or of an empty text, where that is no value like the others.
      within: Allowed numbers, apart from a 0 with a meaning of its own.
      parse: Function that raises a `TransferError` for a text that does not parse.
    """

    text: str
    flag: str = ""
    zero: str = ""
    within: Interval | None = None
    parse: Callable[[str], object] | None = None


def option(
    default: T,
    text: str,
    *,
    flag: str = "",
    zero: str = "",
    within: Interval | None = None,
    parse: Callable[[str], object] | None = None,
) -> T:
    """Returns the field of a config, with its default and its description; the arguments are those of `Description`."""
    description = Description(text, flag, zero, within, parse)
    return dataclasses.field(default=default, metadata={"description": description})


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a config class.

    Attributes:
      path: Its dotted name, such as `training.epochs`.
      type: `bool`, `int`, `float`, `str` or a `Literal`.
      default: Value if nothing is chosen.
      description: Text, flag and range.
    """

    path: str
    type: Any
    default: Any
    description: Description

    @property
    def name(self) -> str:
        """Returns the name used in errors: the flag, or the field if there is none."""
        return self.description.flag or self.path.rpartition(".")[2]

    @property
    def choices(self) -> tuple[str, ...]:
        """Returns the values to choose from; none if any number or text is possible."""
        return tuple(choice for choice in get_args(self.type) if choice) if get_origin(self.type) is Literal else ()

    @property
    def default_as_text(self) -> str:
        """Returns the default as `--help` shows it."""
        return self.in_words(self.default)

    def in_words(self, value: Any) -> str:
        """Returns a value as text, and one that stands for something else, such as 0, as what it means."""
        return self.description.zero if self._is_zero(value) else str(value)

    @property
    def values(self) -> str:
        """Returns the allowed values in words, apart from a 0 with a meaning of its own."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        within = self.description.within
        return f"{_KINDS[self.type]} {within}" if within else _KINDS[self.type]

    @property
    def expected(self) -> str:
        """Returns all allowed values in words."""
        zero = self.description.zero
        return f"0 ({zero}) or {self.values}" if zero and self.type in (int, float) else self.values

    def check(self, value: Any) -> None:
        """Raises a TransferError, in one line, if the option cannot have this value.

        A NumPy number counts as a number, and a path as text.
        """
        described = self.description
        if not self._is_of_type(value):
            kind = "text" if isinstance(value, str) else type(value).__name__
            received = str(value) if self.choices and kind == "text" else f"{str(value)!r:.100}, which is {kind}"
            raise ConfigError(f"{self.name}: expected {self.expected}. Received: {received}. {self._remedy(value)}")
        if self._is_zero(value):
            return
        if described.within and value not in described.within:
            raise ConfigError(f"{self.name}: expected {self.expected}. Received: {value}. {self._remedy(value)}")
        if described.parse:
            described.parse(os.fspath(value))

    def _is_of_type(self, value: Any) -> bool:
        if get_origin(self.type) is Literal:
            return isinstance(value, str) and value in get_args(self.type)
        if self.type is str:
            return isinstance(value, (str, os.PathLike))
        is_truth = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # the latter are NumPy's
        if self.type is bool or is_truth:
            return self.type is bool and is_truth
        return isinstance(value, numbers.Integral if self.type is int else numbers.Real)

    def _is_zero(self, value: Any) -> bool:
        return bool(self.description.zero) and value in (0, "")

    def _remedy(self, value: Any) -> str:
        if offered := nearest(str(value), self.choices).strip():
            return offered
        within = self.description.within
        if self.type is float and within and within.high == 1 and self._is_of_type(value) and 5 <= value < 100:
            return f"For {value:g}% write {value / 100:g}."
        if self.default == "":
            return f"Leave it out: {self.description.zero}." if self.description.zero else "Leave it out."
        return f"Use {self.default}, the default."


def options_of(config: type, *, prefix: str = "") -> Iterator[Option]:
    """Yields the options of a config class and of its parts, in the order in which they are declared."""
    for field in dataclasses.fields(config):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            yield from options_of(field.type, prefix=f"{prefix}{field.name}.")
        else:
            yield Option(f"{prefix}{field.name}", field.type, field.default, field.metadata["description"])


def value_of(config: Any, path: str) -> Any:
    """Returns the value of an option, by its dotted name."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def set_value(config: Any, path: str, value: Any) -> None:
    """Sets an option, by its dotted name, without checking the value."""
    part, _, name = path.rpartition(".")
    setattr(value_of(config, part) if part else config, name, value)
