"""Tests of tl_keras.evaluation.highest_score: the kept epoch where the score is no accuracy."""

import math

import pytest

from tl_keras.evaluation.highest_score import HighestScore, error_of_part, error_of_r2
from tl_keras.evaluation.selection import EpochScore

KEPT = {
    "rising": ([(0.5, 1.0), (0.6, 0.9), (0.7, 0.8)], [True, True, True]),
    "within an error": ([(0.7, 0.8), (0.68, 0.8)], [True, True]),
    "clearly lower": ([(0.7, 0.8), (0.5, 0.8)], [True, False]),
    "as good, but too sure": ([(0.7, 0.8), (0.7, 1.2)], [True, False]),
    "not a number": ([(0.7, 0.8), (0.9, math.nan)], [True, False]),
    "small steps down from the best": ([(0.7, 0.8), (0.66, 0.8), (0.62, 0.8)], [True, True, False]),
}


@pytest.mark.parametrize(("epochs", "kept"), KEPT.values(), ids=KEPT)
def test_the_last_epoch_within_an_error_of_the_best_is_kept(epochs, kept):
    selection = HighestScore(100, (), standard_error=error_of_part)
    assert [selection.keeps(EpochScore(*epoch)) for epoch in epochs] == kept


def test_a_resumed_run_knows_the_best():
    selection = HighestScore(100, [EpochScore(0.9, 0.5)], standard_error=error_of_part)
    assert not selection.keeps(EpochScore(0.7, 0.5))


def test_errors_shrink_with_images_and_near_perfection():
    for error in (error_of_part, error_of_r2):
        assert error(0.8, 400) == pytest.approx(error(0.8, 100) / 2)
        assert error(0.99, 100) < error(0.8, 100)
        assert error(1.5, 100) == 0
