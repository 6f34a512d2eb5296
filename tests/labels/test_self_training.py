"""Tests of tl_keras.labels.self_training."""

import numpy as np
import pytest

from tl_keras.labels.self_training import GivenLabels, fit_with, give_labels, measure_gain
from tl_keras.probes.transferability import along_components


def clusters(counts, seed, distance=2.2):
    """Features in four round clusters, so far from the origin in directions of their own, and their classes."""
    random, labels = np.random.default_rng(seed), np.repeat(np.arange(4), counts)
    return distance * np.eye(4, 20)[labels] + random.normal(size=(len(labels), 20)), labels


@pytest.fixture(scope="module")
def helpful():
    """Few true labels in clusters that 400 unlabelled images outline."""
    (known, labels), (new, truth) = clusters([6] * 4, 0), clusters([100] * 4, 1)
    return along_components(np.concatenate([known, new]).astype(np.float32)), labels, truth


def test_clusters_are_found_and_the_accuracy_on_true_labels_rises(helpful):
    scaled, labels, truth = helpful
    gain, temperature = measure_gain(scaled, labels, groups=np.arange(24), seed=0)
    given = give_labels(scaled, labels, temperature=temperature)
    assert np.mean(given.labels == truth[given.rows]) > 0.75
    assert np.bincount(given.labels).min() >= 0.8 * 80 and len(given.rows) < 0.85 * len(truth)
    assert gain.helps and gain.after > gain.before + gain.noise


def test_labels_of_images_that_are_all_of_one_class_are_dropped():
    (known, labels), (new, _) = clusters([12] * 4, 0), clusters([400, 1, 1, 1], 1)
    scaled = along_components(np.concatenate([known, new]).astype(np.float32))
    gain, _ = measure_gain(scaled, labels, groups=np.arange(48), seed=0)
    assert gain.after < gain.before and not gain.helps


def test_what_cannot_rise_is_dropped():
    (known, labels), (new, _) = clusters([12] * 4, 0, distance=40), clusters([20] * 4, 1, distance=40)
    gain, _ = measure_gain(
        along_components(np.concatenate([known, new]).astype(np.float32)), labels, groups=np.arange(48), seed=0
    )
    assert (gain.before, gain.after, gain.helps) == (1.0, 1.0, False)


def test_given_labels_are_fitted_beside_the_true_ones(helpful):
    scaled, labels, truth = helpful
    rows = np.arange(50)
    wrong = GivenLabels(rows, (truth[rows] + 1) % 4)
    alone, beside = fit_with(scaled, labels, None), fit_with(scaled, labels, wrong)
    asked = scaled[len(labels) : len(labels) + 50]
    assert np.mean(beside.predict(asked) == wrong.labels) > np.mean(alone.predict(asked) == wrong.labels)
