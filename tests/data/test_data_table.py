"""Tests of tl_keras.data.table."""

import pytest

from tl_keras.data.table import Table

TABLE = Table("csv:a.csv", ["path", "label"], [["1.png", "cat"], ["2.png", "dog"]], [2, 3], "photos")


def test_a_column_is_found_by_its_name_as_written():
    assert TABLE.column("label") == ["cat", "dog"]
    with pytest.raises(ValueError, match="Label"):
        TABLE.column("Label")
