"""Tests of tl_keras.config.data_fields: whether other ways to write a choice are read."""

import pytest

from tl_keras.config.data_fields import DataConfig


@pytest.mark.parametrize("name", ["horizontal_flip", "quarter_turns"])
@pytest.mark.parametrize(
    ("written", "read"),
    [(False, "off"), (True, "on"), ("True", "on"), ("ON", "on"), ("yes", "on"), ("No", "off"), ("AUTO", "auto")],
)
def test_a_choice_is_read_as_people_write_it(name, written, read):
    assert getattr(DataConfig(**{name: written}), name) == read


def test_what_is_no_choice_stays_for_the_check_to_refuse():
    assert DataConfig(quarter_turns="maybe").quarter_turns == "maybe"
