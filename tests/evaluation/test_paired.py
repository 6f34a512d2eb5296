"""Tests of tl_keras.evaluation.paired, against figures worked out by hand."""

import numpy as np
import pytest

from tl_keras.evaluation.paired import Paired, mean_and_interval, paired_test


def right(text):
    return np.array([each == "1" for each in text])


@pytest.mark.parametrize(
    ("first", "second", "better", "worse", "p_value"),
    [
        ("1111", "1111", 0, 0, 1.0),
        ("1111100", "0000000", 5, 0, 2 / 2**5),
        ("1100", "0011", 2, 2, 1.0),
        ("00000", "11111", 0, 5, 2 / 2**5),
    ],
)
def test_only_images_that_one_alone_answers_rightly_count(first, second, better, worse, p_value):
    assert paired_test(right(first), right(second)) == Paired(better, worse, pytest.approx(p_value))


def test_the_interval_of_a_mean_is_students():
    mean, (low, high) = mean_and_interval([0.7, 0.8, 0.9])
    assert mean == pytest.approx(0.8)
    assert high - mean == mean - low == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
