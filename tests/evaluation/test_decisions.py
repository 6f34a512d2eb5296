"""Tests of tl_keras.evaluation.decisions: thresholds for what is asked, and what they give."""

import numpy as np
import pytest

from tl_keras.evaluation.decisions import (
    choose_threshold,
    cost_metrics,
    lowest_that_is_right,
    positive_metrics,
    refusal_metrics,
)


def drawn(images, seed=0):
    """Images, a third of them positive, and scores that tell them apart in part."""
    random = np.random.default_rng(seed)
    has = random.random(images) < 1 / 3
    return has, 1 / (1 + np.exp(-random.normal(np.where(has, 2.0, -2.0), 1.5)))


@pytest.mark.parametrize(("name", "part"), [("min_precision", 0.9), ("min_recall", 0.95), ("min_recall", 0.8)])
def test_what_is_asked_for_holds_on_other_images_on_average(name, part):
    held = []
    for seed in range(40):
        asked = {"min_precision": 0.0, "min_recall": 0.0, name: part}
        threshold, reached = choose_threshold(*drawn(200, seed), **asked)
        assert reached
        has, scores = drawn(2000, 1000 + seed)
        held.append(positive_metrics(has, scores >= threshold, scores)[name[4:]])
    assert part - 0.01 < np.mean(held) < part + 0.05


def test_too_few_images_promise_nothing():
    has, scores = np.array([True, True, False]), np.array([0.9, 0.8, 0.1])
    assert choose_threshold(has, scores, min_precision=0.95, min_recall=0.0) == (0.9, False)
    assert choose_threshold(has, scores, min_precision=0.0, min_recall=0.99) == (0.8, False)
    assert choose_threshold(has, scores, min_precision=0.0, min_recall=0.0) == (0.5, True)
    assert choose_threshold(~has[:2], scores[:2], min_precision=0.0, min_recall=0.9) == (0.8, False)


@pytest.mark.parametrize(("positives", "reached"), [(8, False), (9, True)])
def test_a_recall_of_nine_tenths_needs_nine_images(positives, reached):
    scores = np.linspace(0.9, 0.5, positives)
    assert choose_threshold(np.full(positives, True), scores, min_precision=0.0, min_recall=0.9) == (0.5, reached)


def test_equal_scores_are_answered_alike():
    right = np.array([True] * 30 + [False] * 30)
    assert lowest_that_is_right(right, np.full(60, 0.7), part=0.9) is None
    assert lowest_that_is_right(right, np.repeat([0.9, 0.7], 30), part=0.9) == 0.9


def test_refusing_the_doubtful_raises_the_accuracy():
    right, confidence = drawn(400)
    threshold = lowest_that_is_right(right, confidence, part=0.8)
    found = refusal_metrics(right, confidence, confidence < threshold)
    assert found["accuracy"] >= 0.8 > right.mean()
    assert 0 < found["coverage"] < 1
    assert found["curve"][-1] == [1.0, pytest.approx(right.mean(), abs=1e-4)]
    assert refusal_metrics(right, confidence, np.full(400, True))["accuracy"] is None


def test_costs_stand_beside_what_needs_no_matrix():
    labels, answers, likeliest = np.array([0, 1, 1]), np.array([1, 1, 1]), np.array([0, 0, 1])
    costs = np.array([[0.0, 1.0], [10.0, 0.0]])
    assert cost_metrics(labels, answers, likeliest, costs) == {
        "mean_cost": pytest.approx(1 / 3),
        "mean_cost_of_the_likeliest": pytest.approx(10 / 3),
        "mean_cost_of_one_answer": pytest.approx(1 / 3),
    }
