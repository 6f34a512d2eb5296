"""Tests of tl_keras.config.choices."""

from typing import get_args

import pytest

from tl_keras.config import choices
from tl_keras.errors import ConfigError


def test_lists_have_what_their_types_have():
    assert set(choices.METHODS) == set(get_args(choices.Method)) - {"auto"}
    assert set(choices.EXPORTS) == set(get_args(choices.ExportFormat))


@pytest.mark.parametrize("name", ["auto", "single_label"])
def test_a_task_that_is_known_passes(name):
    choices.require_task_name(name)


def test_an_unknown_task_is_one_line_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"^task: expected one of auto, .*Received: singel_label\. Did you mean single_label"
    ):
        choices.require_task_name("singel_label")


def test_a_task_from_outside_is_known_by_its_name(monkeypatch):
    for table in ("_TASKS", "_LOSSES"):
        monkeypatch.setattr(choices, table, dict(getattr(choices, table)))
    choices.add_task_name("of_mine", "labels")
    choices.require_task_name("of_mine")
    assert choices.label_kind_of("of_mine") == "labels"
