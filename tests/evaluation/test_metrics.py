"""Tests of tl_keras.evaluation.metrics."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

from tl_keras.evaluation.metrics import accuracy_interval, classification_metrics

NAMES = tuple(f"class {i}" for i in range(12))


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(0)
    return random.integers(0, 12, 300), random.dirichlet(np.ones(12), 300)


def test_it_agrees_with_scikit_learn(predictions):
    labels, probabilities = predictions
    metrics = classification_metrics(labels, probabilities, NAMES)
    precision, recall, f1, support = precision_recall_fscore_support(labels, probabilities.argmax(-1))
    assert [row["precision"] for row in metrics["classes"]] == pytest.approx(precision)
    assert [row["recall"] for row in metrics["classes"]] == pytest.approx(recall)
    assert [row["f1"] for row in metrics["classes"]] == pytest.approx(f1)
    assert [row["examples"] for row in metrics["classes"]] == support.tolist()
    assert metrics["accuracy"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=1))
    assert metrics["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))


def test_with_few_classes_there_is_no_top_5():
    metrics = classification_metrics(np.array([0, 1]), np.eye(2), ("a", "b"))
    assert metrics["accuracy"] == 1
    assert "top_5_accuracy" not in metrics


def test_a_class_that_was_never_predicted_or_never_shown_has_no_figure():
    metrics = classification_metrics(np.array([0, 1]), np.float32([[1, 0, 0], [1, 0, 0]]), ("a", "b", "c"))
    assert [row["precision"] for row in metrics["classes"]] == [0.5, None, None]
    assert [row["recall"] for row in metrics["classes"]] == [1.0, 0.0, None]
    assert [row["f1"] for row in metrics["classes"]] == [pytest.approx(2 / 3), 0.0, None]


@pytest.mark.parametrize(("right", "images"), [(0, 10), (8, 10), (130, 150), (1000, 1000)])
def test_the_interval_is_wilsons(right, images):
    z, p = 1.959963984540054, right / images  # equation 4 of Brown, Cai and DasGupta 2001
    centre = (p + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * (p * (1 - p) / images + z**2 / (4 * images**2)) ** 0.5
    low, high = accuracy_interval(p, images)
    assert (low, high) == (pytest.approx(centre - half, abs=1e-9), pytest.approx(centre + half, abs=1e-9))
    assert 0 <= low < high <= 1
