"""Tests of tl_keras.advice.exemplars, on vectors whose neighbours are known."""

import numpy as np
import pytest

from tl_keras.advice.exemplars import find_exemplars
from tl_keras.data.arrays import ArraySource


@pytest.fixture
def source():
    """Ten images of two classes; the last is labelled wrongly."""
    return ArraySource(np.zeros((10, 8, 8, 3), np.uint8), np.array(["cat"] * 5 + ["dog"] * 4 + ["cat"]))


@pytest.fixture
def features():
    """Cats lie along one direction, dogs along another; the last image is a dog, and the one before nearly the same."""
    along = np.eye(2, 6)[np.array([0] * 5 + [1] * 5)]
    away = np.array([0.0, 0.1, 0.2, 0.3, 2.0, 0.0, 0.1, 0.2, 0.31, 0.3])
    return (along + away[:, np.newaxis] * np.eye(1, 6, 3)).astype(np.float32)


def test_typical_images_are_near_the_middle_of_their_class_and_in_no_doubt(source, features):
    found = find_exemplars(source, np.arange(10), features, suspects=[9], copies=np.arange(10))
    cats = {source.ids[row] for row in range(5)}
    assert set(found.typical) == {"cat", "dog"} and len(found.typical["cat"]) == 4
    assert set(found.typical["cat"]) < cats and source.ids[4] not in found.typical["cat"]


@pytest.mark.parametrize(("copies", "first"), [(np.arange(10), 8), (np.r_[np.arange(9), 8], 7)], ids=["none", "a copy"])
def test_an_image_in_doubt_has_its_neighbours_but_no_copies_of_itself(source, features, copies, first):
    found = find_exemplars(source, np.arange(10), features, suspects=[9], copies=copies)
    (alike,) = found.alike.values()
    assert alike[0] == source.ids[first] and source.ids[9] not in alike and len(alike) == 4


def test_images_that_have_no_features_are_left_out(source, features):
    found = find_exemplars(source, np.arange(1, 10), features[1:], suspects=[], copies=np.arange(9))
    assert found.alike == {} and source.ids[0] not in found.typical["cat"]
