"""Tests of tl_keras.evaluation.bootstrap."""

import tracemalloc

import numpy as np
import pytest

from tl_keras.evaluation.bootstrap import bootstrap_interval
from tl_keras.tasks.ordinal import Ordinal

GRADES = np.arange(60) % 3
PERFECT = np.float32(np.where(GRADES[:, None] > np.arange(2), 9.0, -9.0))
KAPPA = Ordinal(3).score


def test_the_interval_of_perfect_grades_has_a_width_that_images_narrow():
    assert KAPPA(PERFECT, GRADES) == 1
    low, high = bootstrap_interval(KAPPA, PERFECT, GRADES)
    assert high == 1
    assert 0.7 < low < 0.97
    assert low < bootstrap_interval(KAPPA, np.tile(PERFECT, (5, 1)), np.tile(GRADES, 5))[0] < 1


@pytest.mark.parametrize("images", [1, 2, 4])
def test_of_few_images_nothing_is_told(images):
    low, high = bootstrap_interval(KAPPA, PERFECT[:images], GRADES[:images])
    assert low <= 0
    assert high == 1


def test_of_equal_labels_nothing_is_in_doubt():
    assert bootstrap_interval(KAPPA, PERFECT[::3], GRADES[::3]) == (0, 0)


def test_otherwise_it_is_the_percentiles_of_resamples():
    answers = np.random.default_rng(0).random(200) < 0.8
    low, high = bootstrap_interval(lambda right, _: float(right.mean()), answers, answers)
    assert (low, high) == pytest.approx((answers.mean() - 0.062, answers.mean() + 0.062), abs=0.02)


@pytest.mark.parametrize("answers", [np.arange(20_000) % 5 > 0, np.ones(20_000, bool)], ids=["some wrong", "all right"])
def test_the_resamples_are_not_in_memory_together(answers):
    tracemalloc.start()
    try:
        bootstrap_interval(lambda right, _: float(right.mean()), answers, np.arange(20_000) % 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20  # all of them take 160 MB
