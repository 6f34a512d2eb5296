"""Tests of tl_keras.evaluation.budget."""

import dataclasses

import pytest
from golden_results import golden_result

from tl_keras.evaluation.budget import equal_time, score_by, score_interval, still_rising
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.runs.stopwatch import AFTER_LAST_EPOCH


def a_result(*reached, seconds, validation=100):
    return golden_result(
        time_to_score=[{"seconds": after, "validation_accuracy": accuracy} for after, accuracy in reached],
        seconds={"preparing": 1.0, "head": seconds - 1.0},
        images={"validation": validation, "test": validation},
    )


@pytest.mark.parametrize(("seconds", "accuracy"), [(1.9, None), (2.0, 0.5), (3.9, 0.5), (4.0, 0.8), (100.0, 0.8)])
def test_what_was_reached_by_then_counts(seconds, accuracy):
    assert score_by(a_result((2.0, 0.5), (4.0, 0.8), seconds=10.0), seconds) == accuracy


@pytest.mark.parametrize(
    ("reached", "rising"),
    [
        ([(2.0, 0.5), (4.0, 0.8)], False),
        ([(2.0, 0.5), (9.0, 0.8)], True),
        ([(2.0, 0.78), (9.0, 0.8)], False),  # within a standard error of 0.04
        ([(9.0, 0.8)], True),
        ([(2.0, 0.95), (9.0, 1.0)], True),
        ([], False),  # an earlier version, which did not measure it
    ],
)
def test_a_run_that_gained_in_its_last_fifth_is_still_rising(reached, rising):
    assert still_rising(a_result(*reached, seconds=10.0)) is rising


@pytest.mark.parametrize("part", AFTER_LAST_EPOCH)
def test_what_comes_after_the_last_epoch_is_no_part_of_the_fifth(part):
    result = a_result((2.0, 0.5), (9.0, 0.8), seconds=10.0)
    assert still_rising(dataclasses.replace(result, seconds={**result.seconds, part: 30.0}))


def test_the_interval_of_the_score_is_in_the_result_or_that_of_an_accuracy():
    earlier = golden_result()
    assert score_interval(earlier) == accuracy_interval(earlier.accuracy, earlier.images["test"])
    assert score_interval(golden_result(interval=[0.5, 0.75])) == (0.5, 0.75)


def test_runs_are_compared_when_the_fastest_is_over():
    assert equal_time([a_result((1.0, 0.5), seconds=10.0), a_result((1.0, 0.5), seconds=4.0)]) == 4.0
