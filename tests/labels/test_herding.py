"""Tests of tl_keras.labels.herding."""

import time

import numpy as np
import pytest

from tl_keras.labels.herding import (
    _gaussian,
    _kernel_width,
    choose_images,
    lie_apart,
    margin_uncertainty,
    order_of_worth,
)
from tl_keras.probes.vectors import directions


@pytest.fixture(scope="module")
def clusters():
    """Six clusters of directions, of 50 images each, and the number of each image's cluster."""
    random = np.random.default_rng(0)
    cluster = np.repeat(np.arange(6), 50)
    features = 3 * random.normal(size=(6, 32))[cluster] + random.normal(size=(300, 32)) * 0.5 + 20
    return directions(features.astype(np.float32), features.mean(axis=0).astype(np.float32)), cluster


def chosen(vectors, count, labelled=(), uncertainty=None):
    known = vectors[np.array(labelled, np.int64)]
    return choose_images(vectors, labelled=known, uncertainty=uncertainty, count=count, seed=0)


def test_the_first_labels_are_one_of_each_cluster(clusters):
    vectors, cluster = clusters
    assert sorted(cluster[chosen(vectors, 6)]) == list(range(6))


def test_what_labelled_images_stand_for_is_not_asked_again(clusters):
    vectors, cluster = clusters
    assert sorted(cluster[chosen(vectors, 4, labelled=[10, 60])]) == [2, 3, 4, 5]


def test_uncertain_images_come_first_and_no_two_alike(clusters):
    vectors, cluster = clusters
    uncertainty = np.where(np.isin(cluster, (1, 4)), 1.0, 0.01)
    order = chosen(vectors, 6, uncertainty=uncertainty)
    assert sorted(cluster[order[:2]]) == [1, 4] and len(set(order)) == 6


def test_an_image_is_chosen_once_where_all_are_wanted_or_nothing_is_uncertain(clusters):
    vectors, _ = clusters
    assert sorted(chosen(vectors[:40], 40)) == list(range(40))
    assert len(set(chosen(vectors, 20, uncertainty=np.zeros(300)))) == 20


def test_thousands_are_chosen_soon_and_each_adds_most(clusters):
    vectors = directions(np.random.default_rng(0).normal(size=(2000, 40)).astype(np.float32), np.zeros(40, np.float32))
    begun = time.process_time()
    order = order_of_worth(vectors, covered=vectors)
    assert time.process_time() - begun < 3  # 41 s where all images are asked for each that is chosen
    assert sorted(order.tolist()) == list(range(2000))
    few, _ = clusters
    kernel = _gaussian(few, few, _kernel_width(few))
    best = np.zeros(len(few), np.float32)
    for one in order_of_worth(few, covered=few)[:50]:
        gains = np.maximum(kernel - best[:, np.newaxis], 0).sum(axis=0)
        assert gains[one] > gains.max() - 1e-3
        best = np.maximum(best, kernel[:, one])


def test_more_images_than_are_compared_are_drawn_from(clusters, monkeypatch):
    vectors, cluster = clusters
    monkeypatch.setattr("tl_keras.labels.herding._COVERED", 60)
    monkeypatch.setattr("tl_keras.labels.herding._CANDIDATES", 90)
    assert sorted(cluster[chosen(vectors, 6)]) == list(range(6))
    assert len(chosen(vectors, 100)) == 100


def test_the_margin_is_between_the_two_most_likely_classes():
    probabilities = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.1, 0.7]])
    np.testing.assert_allclose(margin_uncertainty(probabilities), [1.0, 0.0, 0.5])


def test_images_that_were_chosen_are_farther_apart_than_draws():
    features = np.repeat(np.eye(30, 40), 20, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(600, 40))
    vectors = directions(features.astype(np.float32), features.mean(axis=0).astype(np.float32))
    chosen = choose_images(vectors, labelled=vectors[:0], uncertainty=None, count=25, seed=0)
    assert lie_apart(vectors[chosen], vectors, seed=0)
    assert not lie_apart(vectors[np.random.default_rng(1).permutation(600)[:25]], vectors, seed=0)
    assert not lie_apart(vectors[:1], vectors, seed=0)
    assert order_of_worth(vectors, covered=vectors)[:25].tolist() == chosen.tolist()
