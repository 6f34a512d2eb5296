"""Tests of tl_keras.advice.suspects."""

import numpy as np
import pytest

from tl_keras.advice import suspects
from tl_keras.advice.suspects import expected_errors, far_away, label_suspects, members_of_each, near_copies
from tl_keras.advice.thumbnails import unit_vectors
from tl_keras.probes.probe import Probe


def test_copies_share_the_number_of_the_first():
    random = np.random.default_rng(0)
    one, other, small = random.uniform(0, 255, (3, 32, 32)).astype(np.float32)
    pixels = np.stack([one, other, one * 0.9 + 5, small, small, small])
    contents = np.array(["a", "b", "c", "d", "d", "e"])
    comparable = np.array([True, True, True, False, False, False])
    # The third is the first, darker. Of those too small to compare, only the same file is a copy.
    assert near_copies(unit_vectors(pixels), contents, comparable).tolist() == [0, 1, 0, 3, 3, 5]


def test_uniform_images_are_no_copies():
    pixels = np.stack([np.full((32, 32), 10.0), np.full((32, 32), 200.0)]).astype(np.float32)
    assert near_copies(unit_vectors(pixels), np.array(["a", "b"]), np.array([True, True])).tolist() == [0, 1]


def test_the_least_likely_label_comes_first():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.1, 0.9]])
    labels = np.array([0, 1, 1, 1])
    assert label_suspects(Probe(probabilities, labels)).tolist() == [2, 1]
    assert label_suspects(Probe(probabilities, labels, np.array([2]))).tolist() == [1]


def test_an_error_is_expected_where_another_class_is_as_likely_as_among_its_own_images():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # The third is likelier of the other class, but less likely than that class is on average (0.58); the last is sure.
    assert expected_errors(Probe(probabilities, labels)) == 1


def test_an_outlier_is_far_from_the_rest_and_the_farthest_comes_first():
    distances = np.array([1.0, 1.1, 0.9, 9.0, 1.0, 20.0, 1.05])
    assert far_away(distances).tolist() == [5, 3]
    assert far_away(np.ones(5)).tolist() == []


@pytest.mark.slow
def test_the_search_finds_every_pair_that_comparing_all_finds(monkeypatch):
    random = np.random.default_rng(1)
    spectrum = 1 / np.maximum(np.hypot(*np.meshgrid(np.fft.fftfreq(32) * 32, np.fft.fftfreq(32) * 32)), 1) ** 1.2
    pictures = np.fft.ifft2(np.fft.fft2(random.normal(size=(3000, 32, 32))) * spectrum).real
    pictures[2000:] = pictures[:1000] + random.uniform(0, 0.25, (1000, 1, 1)) * pictures[:1000].std() * random.normal(
        size=(1000, 32, 32)
    )  # from exact copies to some on the far side of the border
    vectors = unit_vectors(pictures)
    contents, comparable = np.arange(3000).astype(str), np.ones(3000, bool)
    found = near_copies(vectors, contents, comparable)
    exact = np.arange(3000)
    for one, other in np.argwhere(np.triu(vectors @ vectors.T >= 0.985, 1)).tolist():
        exact[other] = exact[one]
    assert 300 < np.sum(exact != np.arange(3000)) < 1000
    np.testing.assert_array_equal(found, exact)
    monkeypatch.setattr(suspects, "_MOST_PAIRS", 0)  # as where all images are alike
    np.testing.assert_array_equal(near_copies(vectors, contents, comparable), exact)


def test_what_occurs_once_is_no_group():
    assert [group.tolist() for group in members_of_each(np.array([5, 2, 5, 7, 2, 5]))] == [[1, 4], [0, 2, 5]]
    assert list(members_of_each(np.arange(3))) == []
