"""Tests of tl_keras.evaluation.beside_median: errors beside those of one answer for all."""

import pytest

from tl_keras.evaluation.beside_median import errors_beside_median


def a_column(interval):
    return {"column": "temp_c", "mean_absolute_error": 4.0, "interval": interval, "median_baseline_error": 9.0}


@pytest.mark.parametrize(("interval", "judged"), [([3, 5], "better"), ([3, 10], ""), ([10, 12], "worse"), (None, "")])
def test_an_interval_decides_whether_an_error_is_clearly_another_than_that_of_the_median(interval, judged):
    (found,) = errors_beside_median({"columns": [a_column(interval)]})
    assert ("better" if found.is_better else "worse" if found.is_worse else "") == judged
    assert found.describe() == "temp_c (mean error 4, the median's 9)"


def test_the_interval_of_too_few_images_that_earlier_versions_wrote_decides_nothing():
    (found,) = errors_beside_median({"columns": [{**a_column([4.0, 4.0]), "examples": 1}]})
    assert found.interval is None and not found.is_better


def test_folds_widen_the_interval():
    assert errors_beside_median({"columns": [a_column([1.0, 8.0])]})[0].is_better
    assert not errors_beside_median({"columns": [a_column([1.0, 8.0])]}, folds=5)[0].is_better


def test_grades_are_judged_by_how_many_are_off_by_how_many():
    counted = {"mean_absolute_error": 0.2, "median_baseline_error": 0.95, "off_by": [32, 8, 0]}
    (found,) = errors_beside_median(counted)
    assert found.is_better
    assert found.describe() == "grades (mean error 0.2, the median's 0.95)"


def test_tasks_without_such_errors_have_none():
    assert errors_beside_median(None) == errors_beside_median({"labels": []}) == []
    unknown = {**a_column(None), "mean_absolute_error": None, "median_baseline_error": None}
    assert errors_beside_median({"columns": [unknown]}) == []
