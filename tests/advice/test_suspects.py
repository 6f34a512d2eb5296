"""Tests of tl_keras.advice.suspects."""

import types

import numpy as np

from tl_keras.advice.suspects import expected_errors, far_away, label_suspects, near_copies


def test_copies_share_the_number_of_the_first():
    random = np.random.default_rng(0)
    one, other, small = random.uniform(0, 255, (3, 32, 32)).astype(np.float32)
    pixels = np.stack([one, other, one * 0.9 + 5, small, small, small])
    contents = np.array(["a", "b", "c", "d", "d", "e"])
    comparable = np.array([True, True, True, False, False, False])
    # The third is the first, darker. Of those too small to compare, only the same file is a copy.
    assert near_copies(pixels, contents, comparable).tolist() == [0, 1, 0, 3, 3, 5]


def test_uniform_images_are_no_copies():
    pixels = np.stack([np.full((32, 32), 10.0), np.full((32, 32), 200.0)]).astype(np.float32)
    assert near_copies(pixels, np.array(["a", "b"]), np.array([True, True])).tolist() == [0, 1]


def test_the_least_likely_label_comes_first():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.1, 0.9]])
    labels = np.array([0, 1, 1, 1])
    probe = types.SimpleNamespace(
        probabilities=probabilities, labels=labels, right=probabilities.argmax(axis=1) == labels
    )
    assert label_suspects(probe).tolist() == [2, 1]


def test_an_error_is_expected_where_another_class_is_as_likely_as_among_its_own_images():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    probe = types.SimpleNamespace(probabilities=probabilities, labels=labels)
    # The third is likelier of the other class, but less likely than that class is on average (0.58); the last is sure.
    assert expected_errors(probe) == 1


def test_an_outlier_is_far_from_the_rest_and_the_farthest_comes_first():
    distances = np.array([1.0, 1.1, 0.9, 9.0, 1.0, 20.0, 1.05])
    assert far_away(distances).tolist() == [5, 3]
    assert far_away(np.ones(5)).tolist() == []
