"""Tests of tl_keras.evaluation.numbers: errors, R² and conformal intervals."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import r2_score

from tl_keras.evaluation.numbers import half_widths, number_metrics, promised_part, r_squared, shares_that_held

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(50, 10, (400, 2))
PREDICTED = VALUES + RANDOM.normal(0, 4, VALUES.shape)


def test_r_squared_is_that_of_scikit_learn():
    assert r_squared(VALUES, PREDICTED) == pytest.approx(r2_score(VALUES, PREDICTED))


def test_a_column_that_does_not_vary_counts_as_zero():
    assert r_squared(np.ones((4, 1)), np.zeros((4, 1))) == 0


def test_intervals_hold_nine_numbers_in_ten_of_further_images():
    held = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        fitted, further = random.standard_t(3, (60, 1)), random.standard_t(3, (200, 1))
        width = half_widths(fitted, np.zeros_like(fitted))
        held.append(np.mean(np.abs(further) <= width))
    assert np.mean(held) == pytest.approx(55 / 61, abs=0.01)  # the 55th of 60, 0.9 x 61 rounded up


def test_the_rank_is_that_of_the_definition():
    errors = np.arange(1.0, 20.0)[:, np.newaxis]
    assert half_widths(errors, np.zeros_like(errors)) == [18]  # ceil(0.9 x 20)


def test_few_images_give_the_largest_error():
    assert half_widths(np.array([[1.0], [5.0]]), np.zeros((2, 1))) == [5]


@pytest.mark.parametrize(("images", "part"), [(1, 0.5), (8, 8 / 9), (9, 0.9), (200, 0.9)])
def test_fewer_than_nine_images_promise_less(images, part):
    assert promised_part(images) == pytest.approx(part)


def test_one_image_tells_neither_r_squared_nor_an_interval():
    one = number_metrics(VALUES[:1], PREDICTED[:1], widths=np.ones(2), medians=np.zeros(2), names=("a", "b"))
    assert [(row["r2"], row["interval"]) for row in one["columns"]] == [(None, None)] * 2
    assert one["r2"] == r_squared(VALUES[:1], PREDICTED[:1]) == 0
    five = number_metrics(VALUES[:5], PREDICTED[:5], widths=np.ones(2), medians=np.zeros(2), names=("a", "b"))
    assert five["columns"][0]["interval"] and five["columns"][0]["r2"] is not None


def test_measures_are_in_the_unit_of_the_number_beside_the_baseline():
    metrics = number_metrics(
        VALUES, PREDICTED, widths=np.array([7.0, 7.0]), medians=np.median(VALUES, axis=0), names=("a", "b")
    )
    for number, row in enumerate(metrics["columns"]):
        error = np.abs(VALUES - PREDICTED)[:, number]
        assert row["mean_absolute_error"] == pytest.approx(error.mean())
        assert row["interval"][0] < row["mean_absolute_error"] < row["interval"][1]
        assert row["median_baseline_error"] > 2 * row["mean_absolute_error"]
        assert row["coverage"] == pytest.approx(np.mean(error <= 7))
        assert row["spearman"] > 0.8
    assert metrics["r2"] == pytest.approx(r2_score(VALUES, PREDICTED))


def test_the_resamples_of_an_interval_are_not_in_memory_together():
    values = RANDOM.normal(50, 10, (20_000, 1))
    tracemalloc.start()
    try:
        number_metrics(values, values + 1, widths=np.ones(1), medians=np.zeros(1), names=("a",))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20  # all of them take 160 MB


def test_numbers_that_are_not_known_are_left_out():
    values = VALUES[:20].copy()
    values[:5, 1] = np.nan
    metrics = number_metrics(values, PREDICTED[:20], widths=np.ones(2), medians=np.zeros(2), names=("a", "b"))
    assert [row["examples"] for row in metrics["columns"]] == [20, 15]


@pytest.mark.parametrize(("scale", "expected"), [(2.0, 0.5), (0.5, 1.0), (-1.0, 0.0), (0.0, 0.0)])
def test_predictions_are_answered_as_far_as_they_held(scale, expected):
    values = np.random.default_rng(0).normal(10, 2, (50, 1))
    medians = np.median(values, axis=0)
    assert shares_that_held(values, medians + scale * (values - medians), medians) == pytest.approx(expected)
