"""Tests of tl_keras.data.label_kinds: labels of one kind taken for another."""

import numpy as np
import pytest

from tl_keras.data.label_kinds import as_kind, in_declared_order
from tl_keras.errors import DataError

CLASSES = np.array([0, 1, 1, 2])
SEVERAL = np.array([[1, 0, 1], [0, 1, 1], [0, 0, -1], [1, 1, 0]])
NAMES = ("ant", "bee", "cat")


def test_a_class_is_one_label_of_several():
    names, labels = as_kind("s", NAMES, CLASSES, "labels")
    assert names == NAMES
    np.testing.assert_array_equal(labels, np.eye(3)[CLASSES])


def test_classes_called_by_numbers_are_numbers():
    names, values = as_kind("s", ("1,5", "20", "-3"), CLASSES, "numbers")
    assert names == ("value",)
    np.testing.assert_array_equal(values[:, 0], [1.5, 20, 20, -3])


def test_what_is_of_another_kind_names_its_task():
    with pytest.raises(DataError, match=r"Received several labels\. Use --task=multi_label"):
        as_kind("s", NAMES, SEVERAL, "class")
    for name in ("ant", "inf", "nan"):
        with pytest.raises(DataError, match=rf"expected numbers\. Received classes such as '{name}'"):
            as_kind("s", ("1", "2,5", name), CLASSES, "numbers")


def test_a_declared_order_moves_the_labels():
    names, labels = in_declared_order("s", NAMES, CLASSES, "cat, ant,bee")
    assert names == ("cat", "ant", "bee")
    np.testing.assert_array_equal(labels, [1, 2, 2, 0])
    names, labels = in_declared_order("s", ("10", "9", "-1"), CLASSES, "")
    assert names == ("-1", "9", "10")
    np.testing.assert_array_equal(labels, [2, 1, 1, 0])


def test_numbers_in_names_tell_the_order():
    names, labels = in_declared_order("s", ("stage 1", "stage 10", "stage 2"), CLASSES, "")
    assert names == ("stage 1", "stage 2", "stage 10")
    np.testing.assert_array_equal(labels, [0, 2, 2, 1])
    with pytest.raises(DataError, match="which are no numbers"):
        in_declared_order("s", ("stage 1", "phase 10", "stage 2"), CLASSES, "")


def test_a_misspelt_class_of_an_order_is_pointed_out():
    with pytest.raises(DataError, match=r"Received: Ant,bee,cat\. Did you mean ant.*\? Correct"):
        in_declared_order("s", NAMES, CLASSES, "Ant,bee,cat")


@pytest.mark.parametrize(
    ("declared", "message"),
    [("ant,bee", "once in their order. Received: ant,bee"), ("", "which are no numbers.*--class_order='LOWEST")],
)
def test_an_order_that_is_not_told_is_asked_for(declared, message):
    with pytest.raises(DataError, match=message):
        in_declared_order("s", NAMES, CLASSES, declared)


def test_a_grade_that_is_not_a_number_has_no_place_by_itself():
    with pytest.raises(DataError, match="Received 3, nan, 1, 2, which are no numbers"):
        in_declared_order("s", ("3", "nan", "1", "2"), np.arange(4), "")
