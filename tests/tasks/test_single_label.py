"""Tests of tl_keras.tasks.single_label: one label per image."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.tasks.single_label import SINGLE_LABEL

LOGITS = np.float32([[2.0, 0.0, -1.0]])
LOG_PROBABILITIES = LOGITS - np.log(np.exp(LOGITS).sum())


def loss_of(labels, *, label_smoothing=0.0, class_weights=None):
    loss = SINGLE_LABEL.loss(label_smoothing=label_smoothing, class_weights=class_weights)
    return float(np.asarray(loss(np.float32([labels]), LOGITS))[0])


def test_without_options_it_is_cross_entropy():
    assert loss_of([1, 0, 0]) == pytest.approx(-LOG_PROBABILITIES[0, 0], rel=1e-6)


def test_label_smoothing_spreads_its_part_evenly():
    smoothed = 0.9 * np.float32([1, 0, 0]) + 0.1 / 3
    assert loss_of([1, 0, 0], label_smoothing=0.1) == pytest.approx(-(smoothed * LOG_PROBABILITIES).sum(), rel=1e-5)


def test_a_class_weighs_as_it_should():
    assert loss_of([0, 1, 0], class_weights=np.float32([1, 3, 5])) == pytest.approx(3 * loss_of([0, 1, 0]), rel=1e-6)


def test_a_mixed_label_weighs_as_its_mixture():
    weighted = loss_of([0.25, 0, 0.75], class_weights=np.float32([1, 3, 5]))
    assert weighted == pytest.approx((0.25 * 1 + 0.75 * 5) * loss_of([0.25, 0, 0.75]), rel=1e-6)


def test_balanced_weights_have_mean_one_over_the_examples():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    weights = SINGLE_LABEL.class_weights(labels, 3)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(10)


def test_targets_are_one_hot():
    np.testing.assert_array_equal(SINGLE_LABEL.targets(tf.constant([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


def test_the_best_class_is_the_answer_with_its_score_and_the_next_ones():
    probabilities = SINGLE_LABEL.probabilities(tf.constant(LOGITS))
    answers = {
        name: value.numpy().tolist() for name, value in SINGLE_LABEL.answers(probabilities, ("a", "b", "c")).items()
    }
    assert answers["label"] == [b"a"]
    assert answers["top_k_labels"] == [[b"a", b"b", b"c"]]
    assert answers["score"][0] == answers["top_k_scores"][0][0] == pytest.approx(np.exp(LOG_PROBABILITIES[0, 0]))


def test_the_score_is_the_accuracy_of_the_decisions():
    logits = np.float32([[1, 0], [0, 1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(SINGLE_LABEL.decide(logits), [0, 1, 0, 1])
    assert SINGLE_LABEL.score(logits, np.array([0, 1, 1, 1])) == 0.75


def test_a_class_without_an_image_leaves_the_weights_finite():
    np.testing.assert_allclose(SINGLE_LABEL.class_weights(np.array([0, 0, 1]), 3), [0.5, 1, 1])
