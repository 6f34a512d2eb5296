"""Tests of tl_keras.evaluation.metrics."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

from tl_keras.evaluation.metrics import classification_metrics

NAMES = tuple(f"class {i}" for i in range(12))


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(0)
    return random.integers(0, 12, 300), random.dirichlet(np.ones(12), 300)


def test_it_agrees_with_scikit_learn(predictions):
    labels, probabilities = predictions
    metrics = classification_metrics(labels, probabilities, NAMES)
    precision, recall, _, support = precision_recall_fscore_support(labels, probabilities.argmax(-1))
    assert [row["precision"] for row in metrics["classes"]] == pytest.approx(precision)
    assert [row["recall"] for row in metrics["classes"]] == pytest.approx(recall)
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
