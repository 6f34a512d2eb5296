"""Tests of tl_keras.evaluation.average_precision: measures of several labels."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tl_keras.evaluation.average_precision import (
    average_precision,
    choose_thresholds,
    mean_average_precision,
    mean_average_precision_interval,
    several_labels_metrics,
)

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random((300, 3)) < (0.5, 0.2, 0.05)).astype(np.int64)
SCORES = np.clip(RANDOM.normal(0.3 + 0.3 * LABELS, 0.2), 0, 1)


@pytest.mark.parametrize("scores", [SCORES, SCORES.round(1)], ids=["different", "many equal"])
def test_it_is_that_of_scikit_learn(scores):
    for label in range(3):
        expected = average_precision_score(LABELS[:, label], scores[:, label])
        assert average_precision(LABELS[:, label], scores[:, label]) == pytest.approx(expected)


def test_unknown_images_count_for_nothing():
    labels = LABELS[:, 0].copy()
    labels[::3] = -1
    expected = average_precision_score(LABELS[labels >= 0, 0], SCORES[labels >= 0, 0])
    assert average_precision(labels, SCORES[:, 0]) == pytest.approx(expected)


def test_a_label_without_images_leaves_the_mean():
    labels = LABELS * (1, 1, 0)
    assert average_precision(labels[:, 2], SCORES[:, 2]) is None
    assert mean_average_precision(labels, SCORES) == pytest.approx(mean_average_precision(labels[:, :2], SCORES[:, :2]))


def test_the_interval_holds_the_value_and_narrows_with_images():
    low, high = mean_average_precision_interval(LABELS, SCORES)
    assert low < mean_average_precision(LABELS, SCORES) < high
    few_low, few_high = mean_average_precision_interval(LABELS[:60], SCORES[:60])
    assert few_high - few_low > high - low


def test_the_resamples_are_not_in_memory_together():
    labels, scores = np.tile(LABELS[:, :1], (80, 1)), np.tile(SCORES[:, :1], (80, 1))
    tracemalloc.start()
    try:
        mean_average_precision_interval(labels, scores)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20  # all of them take 38 MB


def perfect(having, lacking, labels=1):
    truth = np.repeat([1, 0], [having, lacking])[:, None].repeat(labels, axis=1)
    return truth, truth + np.linspace(0, 0.5, len(truth))[:, None]


@pytest.mark.parametrize(("having", "expected"), [(3, 0.44), (10, 0.72), (30, 0.89), (300, 0.987)])
def test_the_interval_of_a_perfect_order_is_about_that_of_a_perfect_accuracy(having, expected):
    labels, scores = perfect(having, 3 * having)
    low, high = mean_average_precision_interval(labels, scores)
    assert high == 1
    assert low == pytest.approx(expected, abs=0.12 if having == 3 else 0.04)
    (row,) = several_labels_metrics(labels, scores, np.array([0.5]), ("a",))["labels"]
    assert row["interval"][0] == pytest.approx(low, abs=0.05)


def test_many_perfect_labels_are_surer_than_one():
    lows = [mean_average_precision_interval(*perfect(10, 30, labels))[0] for labels in (1, 10)]
    assert lows[0] < lows[1] < 1


def test_a_label_that_every_image_has_cannot_be_ranked():
    labels, scores = np.concatenate([LABELS, np.ones((len(LABELS), 1), np.int64)], axis=1), np.c_[SCORES, SCORES[:, 0]]
    assert average_precision(labels[:, -1], scores[:, -1]) is None
    assert mean_average_precision(labels, scores) == mean_average_precision(LABELS, SCORES)
    assert mean_average_precision_interval(labels, scores) == mean_average_precision_interval(LABELS, SCORES)
    assert mean_average_precision_interval(*perfect(10, 0)) == (0, 1)
    row = several_labels_metrics(labels, scores, np.full(4, 0.5), tuple("abcd"))["labels"][-1]
    assert row["average_precision"] is row["interval"] is None


def test_of_one_image_nothing_is_told():
    assert mean_average_precision_interval(np.array([[1, 1, 0]]), np.array([[0.9, 0.8, 0.1]])) == (0, 1)


def test_thresholds_make_the_largest_f1():
    labels, scores = np.array([[0]] * 6 + [[1]] * 6), np.linspace(0.01, 0.6, 12)[:, np.newaxis]
    (threshold,) = choose_thresholds(labels, scores)
    assert scores[5, 0] < threshold < scores[6, 0]


def test_one_half_stays_unless_the_images_are_clearly_against_it():
    labels, scores = np.array([[0]] * 10 + [[1]] * 10), np.linspace(0.2, 0.9, 20)
    scores[9], scores[10] = 0.56, 0.54  # one image on the wrong side of one half, or two on that of a threshold between
    assert choose_thresholds(labels, scores[:, np.newaxis]) == [0.5]


def test_a_label_of_few_images_takes_the_threshold_of_all():
    labels = np.array([[0, 0]] * 10 + [[1, 0]] * 9 + [[1, 1]])
    scores = np.linspace(0, 1, 20)[:, np.newaxis] * np.array([1.0, 0.1])
    thresholds = choose_thresholds(labels, scores)
    assert thresholds[1] == pytest.approx(choose_thresholds(labels.reshape(-1, 1), scores.reshape(-1, 1))[0])


def test_measures_are_those_of_the_definitions():
    labels = np.array([[1, 0], [1, 1], [0, -1], [0, 0]])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.9], [0.1, 0.2]])
    metrics = several_labels_metrics(labels, scores, np.array([0.5, 0.5]), ("a", "b"))
    first, second = metrics["labels"]
    assert (first["precision"], first["recall"], first["examples"]) == (0.5, 0.5, 2)
    assert (second["precision"], second["recall"], second["known"]) == (1.0, 1.0, 3)
    assert metrics["f1"] == 0.75
    assert metrics["exact"] == 0.5  # the first and the last
