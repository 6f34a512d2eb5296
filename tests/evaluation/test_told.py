"""Tests of tl_keras.evaluation.told: scores that compare images with each other, of too few images."""

import pytest
from golden_results import golden_result

from tl_keras.evaluation.told import is_told

ONE = {"train": 6, "validation": 1, "test": 1}


@pytest.mark.parametrize("name", ["r2", "quadratic_weighted_kappa", "mean_average_precision"])
def test_one_image_tells_no_score_that_compares_images(name):
    result = golden_result(score_name=name, images={**ONE, "validation": 2})
    assert not is_told(result, "test")
    assert is_told(result, "validation")


def test_one_image_is_right_or_wrong():
    assert is_told(golden_result(images=ONE), "test")


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("r2", {"columns": [{"r2": None}]}),
        ("mean_average_precision", {"labels": [{"average_precision": None}, {"average_precision": None}]}),
    ],
)
def test_images_that_are_all_alike_tell_nothing_either(name, measures):
    result = golden_result(score_name=name, images={"train": 6, "validation": 3, "test": 3}, measures=measures)
    assert not is_told(result, "test")
    assert is_told(result, "validation")  # of which the measures say nothing
