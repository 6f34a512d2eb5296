"""Tests of tl_keras.advice.published_prior."""

import numpy as np
import pytest

from tl_keras.advice.published_prior import combined_accuracies, expected_accuracies

TOP1 = np.array([0.5, 0.6, 0.65, 0.7, 0.75, 0.78])


def answers(accuracies, images, seed=0):
    """Answers of teachers that find the same images hard."""
    hard = np.random.default_rng(seed).uniform(size=images)
    own = np.random.default_rng(seed + 1).normal(0, 0.1, (len(accuracies), images))
    return hard + own < np.asarray(accuracies)[:, None]


def test_few_images_follow_the_published_order_and_many_the_measured_one():
    against = np.array([0.80, 0.75, 0.70, 0.72, 0.66, 0.60])  # the opposite order, with scatter
    few, many = answers(0.5 * TOP1 + 0.4, 30), answers(against, 4000)
    spread = few.mean(axis=1) - np.polyval(np.polyfit(TOP1, few.mean(axis=1), 1), TOP1)
    line = combined_accuracies(few, TOP1)
    left = line - np.polyval(np.polyfit(TOP1, line, 1), TOP1)
    assert np.abs(left).max() < 0.7 * np.abs(spread).max()
    np.testing.assert_allclose(combined_accuracies(many, TOP1), many.mean(axis=1), atol=0.01)


def test_it_errs_less_than_the_measurements():
    truth = 0.6 + 0.5 * (TOP1 - 0.65) + np.array([0.01, -0.01, 0.0, 0.01, -0.01, 0.0])
    errors = np.zeros(2)
    for seed in range(12):
        hard = answers(truth, 60, seed=2 * seed)
        of_all = answers(truth, 5_000, seed=2 * seed).mean(axis=1)
        for which, found in enumerate((hard.mean(axis=1), combined_accuracies(hard, TOP1))):
            difference = (found - found.mean()) - (of_all - of_all.mean())
            errors[which] += (difference**2).sum()
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("top1", [np.zeros(6), np.array([0.5, 0.6, 0.7, 0, 0, 0])])
def test_without_four_published_accuracies_the_measured_ones_stay(top1):
    right = answers(TOP1, 50)
    np.testing.assert_array_equal(combined_accuracies(right, top1), right.mean(axis=1))


def test_a_teacher_without_a_published_accuracy_keeps_its_own():
    right = answers([*TOP1, 0.3], 50)
    combined = combined_accuracies(right, np.append(TOP1, 0.0))
    assert combined[-1] == right[-1].mean()
    np.testing.assert_array_equal(combined[:-1], combined_accuracies(right[:-1], TOP1))


def test_images_of_one_group_tell_nothing_that_could_be_combined():
    right, one_group = answers(TOP1, 50), np.zeros(50, np.int64)
    np.testing.assert_array_equal(combined_accuracies(right, TOP1, clusters=one_group), right.mean(axis=1))


def test_perfect_answers_stay_perfect():
    np.testing.assert_allclose(combined_accuracies(np.ones((6, 20), bool), TOP1), 1)


@pytest.mark.parametrize("top1", [TOP1, np.zeros(6)])
def test_by_the_probability_of_the_right_class_teachers_are_ordered_with_less_error(top1):
    truth, places = 0.6 + 0.5 * (TOP1 - 0.65), np.zeros(2)
    for seed in range(20):
        random = np.random.default_rng(seed)
        # What a probe of two classes says of each image: as sure as the distance from its border, and right on average.
        logits = random.normal(0, 1.5, 60) + random.normal(0, 0.5, (6, 60)) + 6 * (truth - 0.5)[:, None]
        likely = 1 / (1 + np.exp(-logits))
        right = likely > 0.5
        found = expected_accuracies(right, likely, top1)
        assert found.mean() == pytest.approx(right.mean(), abs=0.02)
        for which, accuracies in enumerate((right.mean(axis=1), found)):
            places[which] += np.corrcoef(accuracies, truth)[0, 1]
    assert places[1] > 1.05 * places[0]


def test_where_two_teachers_are_compared_their_answers_count():
    right = answers(TOP1[:2], 50)
    np.testing.assert_array_equal(expected_accuracies(right, 1.0 - right, TOP1[:2]), right.mean(axis=1))


def test_a_probe_that_is_surer_the_more_it_errs_is_judged_by_its_answers():
    right = answers(TOP1, 200)
    np.testing.assert_array_equal(expected_accuracies(right, 1 - 0.9 * right, TOP1), right.mean(axis=1))
