"""Tests of tl_keras.evaluation.grades: classes that have an order."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tl_keras.evaluation.grades import error_of_kappa, grade_metrics, quadratic_weighted_kappa

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 5, 200)
ANSWERS = np.clip(LABELS + RANDOM.integers(-1, 2, 200), 0, 4)


def test_kappa_is_that_of_scikit_learn():
    expected = cohen_kappa_score(LABELS, ANSWERS, weights="quadratic")
    assert quadratic_weighted_kappa(LABELS, ANSWERS, 5) == pytest.approx(expected)


@pytest.mark.parametrize(("answers", "kappa"), [(LABELS, 1.0), (np.full(200, 2), 0.0)])
def test_perfect_and_constant_answers(answers, kappa):
    assert quadratic_weighted_kappa(LABELS, answers, 5) == pytest.approx(kappa)


def test_one_class_alone_tells_nothing():
    assert quadratic_weighted_kappa(np.zeros(4, np.int64), np.zeros(4, np.int64), 3) == 0


def test_errors_are_counted_in_grades():
    metrics = grade_metrics(
        np.array([0, 1, 2, 2]), np.array([0, 2, 2, 0]), np.array([0.2, 1.5, 2, 0.5]), ("a", "b", "c")
    )
    assert metrics["off_by"] == [2, 1, 1]
    assert metrics["mean_absolute_error"] == 0.75
    assert metrics["mean_absolute_error_of_expected"] == pytest.approx((0.2 + 0.5 + 0 + 1.5) / 4)
    assert metrics["median_baseline_error"] == pytest.approx((1.5 + 0.5 + 0.5 + 0.5) / 4)
    assert metrics["accuracy"] == 0.5


def test_the_error_shrinks_with_images():
    assert error_of_kappa(0.5, 400) == pytest.approx(error_of_kappa(0.5, 100) / 2)
    assert error_of_kappa(1.0, 100) == 0
