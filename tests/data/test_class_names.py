"""Tests of tl_keras.data.class_names."""

import pytest

from tl_keras.data.class_names import alike, as_missing

ALIKE = {
    "case": ("Cat", "cat"),
    "Unicode form": ("caf\u00e9", "cafe\u0301"),
    "spaces": ("cat ", "cat"),
    "inner spaces": ("black  cat", "black cat"),
    "separators": ("black_cat", "black-cat"),
    "leading zeros": ("01", "1"),
    "leading zeros in a name": ("class 007", "class 7"),
}


@pytest.mark.parametrize("names", ALIKE.values(), ids=ALIKE)
def test_names_that_differ_little_are_reported(names):
    assert alike(["emu", *names, "10", "100"]) == [" and ".join(map(repr, names))]


def test_different_names_are_not():
    assert alike(["cat", "cats", "10", "100", "0", "00a", "a.b", "ab"]) == []


@pytest.mark.parametrize("name", ["nan", "NaN", "NA", "n/a", "<NA>", "#N/A", "null", "None", " "])
def test_names_that_stand_for_a_missing_label_are_reported(name):
    assert as_missing(["cat", name, "nanny", "0", "unknown"]) == [name]
