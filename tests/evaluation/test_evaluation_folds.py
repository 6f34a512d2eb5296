"""Tests of tl_keras.evaluation.folds: the interval of folds covers the accuracy on a large test set."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from threadpoolctl import threadpool_limits

from tl_keras.data.groups import deal
from tl_keras.evaluation.folds import advice_on_folds, design_effect, fold_interval
from tl_keras.evaluation.metrics import accuracy_interval


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_it_is_wider_than_that_of_independent_answers_and_stays_within_0_and_1(folds):
    for accuracy in (0.0, 0.5, 0.9, 1.0):
        independent = accuracy_interval(accuracy, 60)
        low, high = fold_interval(accuracy, independent, folds=folds)
        assert 0 <= low <= independent[0] <= accuracy <= independent[1] <= high <= 1


@pytest.mark.long
@pytest.mark.parametrize("images", [60, 150])
@threadpool_limits.wrap(limits=1)  # threads wait for each other in such small products
def test_it_covers_the_accuracy_of_the_model_of_all_images(images):
    features, labels = load_digits(return_X_y=True)
    covered = []
    for draw in range(100):
        mixed = np.random.default_rng(draw).permutation(len(labels))
        labelled, test = mixed[:images], mixed[images:]
        x, y = features[labelled] / 16, labels[labelled]
        right = np.zeros(images)
        fold = deal(np.arange(images), y, [0.2] * 5, seed=draw)
        for held_out in (fold == each for each in range(5)):
            shown = ~held_out
            classifier = RidgeClassifier().fit(x[shown], y[shown])
            right[held_out] = classifier.predict(x[held_out]) == y[held_out]
        last = RidgeClassifier().fit(x, y)
        truth = last.score(features[test] / 16, labels[test])
        low, high = fold_interval(right.mean(), accuracy_interval(right.mean(), images), folds=5)
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= 0.9


def test_groups_count_as_what_they_are():
    random, group = np.random.default_rng(0), np.repeat(np.arange(50), 8)
    for alike, effect in (
        (True, 8.0),
        (False, 1.0),
    ):  # the images of a group are right or wrong together, or each by itself
        right = random.random(50)[group] < 0.7 if alike else random.random(400) < 0.7
        assert design_effect(lambda rows, right=right: right[rows].mean(), group) == pytest.approx(effect, rel=0.4)
    assert design_effect(lambda rows: 1.0, group) == 8.0
    assert design_effect(lambda rows: 1.0, np.arange(50)) == 1.0


@pytest.mark.parametrize(("images", "advised"), [(18, True), (40, True), (150, False)])
def test_folds_are_advised_where_a_split_decides_nothing(images, advised):
    interval = accuracy_interval(0.7, images)
    said = advice_on_folds(interval, images=images, split="validation", score_name="accuracy")
    assert (f"{images} validation images" in said and "--folds=5" in said) == advised


def test_an_interval_without_a_lower_end_is_put_in_words():
    said = advice_on_folds((-26145.0, 1.0), images=2, split="test", score_name="R²")
    assert said.startswith("2 test images tell next to nothing of the R²: --folds=5")
    said = advice_on_folds((0.0, 1.0), images=1, split="test", score_name="R²", inputs="texts")
    assert said.startswith("1 test text tells next to nothing of the R²: --folds=5") and "all labelled texts" in said
