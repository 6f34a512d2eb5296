"""Tests of tl_keras.unfreeze."""

import pytest

from tl_keras.errors import BackboneError
from tl_keras.unfreeze import Unfreeze, parse_unfreeze


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("none", Unfreeze("none")),
        ("all", Unfreeze("all")),
        ("blocks:2", Unfreeze("blocks", count=2)),
        ("layers:30", Unfreeze("layers", count=30)),
        ("fraction:0.25", Unfreeze("fraction", fraction=0.25)),
        ("from:block_13_expand", Unfreeze("from", name="block_13_expand")),
        ("regex:block_1[0-6]_.*:0", Unfreeze("regex", name="block_1[0-6]_.*:0")),
    ],
)
def test_a_text_is_read_into_its_parts(text, asked):
    assert parse_unfreeze(text) == asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block:2", "Did you mean blocks"),
        ("blocks", "expected none, all, blocks:N"),
        ("blocks:0", "expected blocks:N with N of at least 1. Received: blocks:0. Use blocks:2."),
        ("layers:-3", "expected layers:N"),
        ("fraction:0", "expected fraction:F with F above 0 and at most 1"),
        ("fraction:1.5", "expected fraction:F"),
        ("fraction:half", "expected fraction:F"),
        ("from:", "expected none, all"),
        ("regex:[", "expected a regular expression"),
        ("", "expected none, all"),
    ],
)
def test_anything_else_is_one_line(text, message):
    with pytest.raises(BackboneError) as raised:
        parse_unfreeze(text)
    assert str(raised.value).startswith("unfreeze: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
