"""Tests of tl_keras.config.options."""

import dataclasses
import math
import pathlib
from typing import Literal

import numpy as np
import pytest

from tl_keras.config.options import Interval, above, at_least, option, options_of, set_value, value_of
from tl_keras.errors import ConfigError


def refuse_spaces(text: str) -> None:
    if " " in text:
        raise ConfigError("name: expected no spaces.")


@dataclasses.dataclass
class Part:
    """A part of a config."""

    rate: float = option(0.0, "A rate.", zero="by the size", within=Interval(0, 1, open_low=True))
    steps: int = option(3, "Steps.", flag="number_of_steps", within=at_least(1))
    colour: Literal["red", "green"] = option("red", "A colour.")
    name: str = option("", "A name.", zero="that of the file", parse=refuse_spaces)
    on: bool = option(True, "Whether it is on.")


@dataclasses.dataclass
class Whole:
    """A config."""

    part: Part = dataclasses.field(default_factory=Part)
    seed: int = option(0, "A seed.", within=at_least(0))


OPTIONS = {each.path: each for each in options_of(Whole)}


def test_options_are_found_in_parts_too():
    assert list(OPTIONS) == ["part.rate", "part.steps", "part.colour", "part.name", "part.on", "seed"]


@pytest.mark.parametrize(
    ("interval", "text", "inside", "outside"),
    [
        (at_least(1), "from 1 up", [1, math.inf], [0, math.nan]),
        (above(0), "above 0", [0.1], [0, math.nan]),
        (Interval(8, 16), "from 8 to 16", [8, 16], [7, 17]),
        (Interval(0, 1, open_low=True), "above 0 and at most 1", [0.5, 1], [0, 1.1]),
        (Interval(0, 1, open_low=True, open_high=True), "above 0 and below 1", [0.5], [0, 1]),
        (Interval(0, 1, open_high=True), "from 0 to below 1", [0, 0.5], [-0.1, 1]),
    ],
)
def test_an_interval_says_what_it_holds(interval, text, inside, outside):
    assert str(interval) == text
    assert all(number in interval for number in inside)
    assert not any(number in interval for number in outside)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("part.rate", 0),
        ("part.rate", np.float32(0.5)),
        ("part.rate", 1),
        ("part.steps", np.int64(3)),
        ("part.colour", "green"),
        ("part.name", ""),
        ("part.name", pathlib.Path("a")),
        ("part.on", np.bool_(False)),
    ],
)
def test_a_value_of_the_type_and_in_the_range_is_taken(path, value):
    OPTIONS[path].check(value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "part.rate",
            2.0,
            "rate: expected 0 (by the size) or a number above 0 and at most 1. Received: 2.0. Use 0.0, the default.",
        ),
        (
            "part.rate",
            90.0,
            "rate: expected 0 (by the size) or a number above 0 and at most 1. Received: 90.0. For 90% write 0.9.",
        ),
        (
            "part.steps",
            "many",
            "number_of_steps: expected a whole number from 1 up. Received: 'many', which is text. Use 3, the default.",
        ),
        (
            "part.steps",
            True,
            "number_of_steps: expected a whole number from 1 up. Received: 'True', which is bool. Use 3, the default.",
        ),
        ("part.steps", 0, "number_of_steps: expected a whole number from 1 up. Received: 0. Use 3, the default."),
        ("part.colour", "grn", "colour: expected one of red, green. Received: grn. Did you mean green?"),
        ("part.colour", "x", "colour: expected one of red, green. Received: x. Use red, the default."),
        (
            "part.colour",
            None,
            "colour: expected one of red, green. Received: 'None', which is NoneType. Use red, the default.",
        ),
        ("part.name", 3, "name: expected text. Received: '3', which is int. Leave it out: that of the file."),
        ("part.name", "a b", "name: expected no spaces."),
        ("part.on", 1, "on: expected True or False. Received: '1', which is int. Use True, the default."),
    ],
)
def test_anything_else_is_one_line_with_what_was_expected_and_received_and_a_remedy(path, value, message):
    with pytest.raises(ConfigError) as raised:
        OPTIONS[path].check(value)
    assert str(raised.value) == message


def test_values_are_found_and_set_by_their_dotted_names():
    config = Whole()
    set_value(config, "part.steps", 5)
    set_value(config, "seed", 7)
    assert (config.part.steps, value_of(config, "part.steps"), value_of(config, "seed")) == (5, 5, 7)
