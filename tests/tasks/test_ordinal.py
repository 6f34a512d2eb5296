"""Tests of tl_keras.tasks.ordinal: classes that have an order."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.evaluation.grades import quadratic_weighted_kappa
from tl_keras.tasks.epoch_metrics import QuadraticWeightedKappa
from tl_keras.tasks.ordinal import Ordinal

NAMES = ("none", "mild", "severe", "worst")
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 300)
LOGITS = (1.5 * (LABELS[:, None] - np.arange(3)) + RANDOM.normal(0, 2, (300, 3))).astype(np.float32)
TASK = Ordinal().with_labels(LABELS)


def probabilities_of(logits):
    return TASK.probabilities(tf.constant(logits)).numpy()


def test_probabilities_of_the_classes_sum_to_one_and_decline_beyond_each_grade():
    probabilities = probabilities_of(LOGITS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities > -1e-6).all()


def test_targets_tell_each_grade_that_is_passed():
    np.testing.assert_array_equal(TASK.targets(tf.constant([0, 2, 3]), 3), [[0, 0, 0], [1, 1, 0], [1, 1, 1]])


def loss_of(**options):
    loss = TASK.loss(**{"label_smoothing": 0.0, "class_weights": None, **options})
    return np.asarray(loss(TASK.targets(tf.constant(LABELS), 3), tf.constant(LOGITS)))


def test_the_loss_is_the_negative_log_likelihood_of_the_class():
    expected = -np.log(probabilities_of(LOGITS)[np.arange(300), LABELS])
    np.testing.assert_allclose(loss_of(), expected, rtol=1e-3, atol=1e-4)


def test_weights_and_smoothing_are_those_of_the_classes():
    weights = np.float32([1, 2, 3, 4])
    np.testing.assert_allclose(loss_of(class_weights=weights), loss_of() * weights[LABELS], rtol=1e-5)
    log_probabilities = np.log(probabilities_of(LOGITS))
    smoothed = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
    expected = -(smoothed * log_probabilities).sum(axis=1)
    np.testing.assert_allclose(loss_of(label_smoothing=0.2), expected, rtol=2e-3, atol=1e-3)


def test_the_answer_is_the_median_everywhere():
    decided = TASK.decide(LOGITS)
    probabilities = probabilities_of(LOGITS)
    answers = {name: value.numpy() for name, value in TASK.answers(tf.constant(probabilities), NAMES).items()}
    np.testing.assert_array_equal(answers["grade"], decided)
    assert answers["label"][0].decode() == NAMES[decided[0]]
    rows = TASK.rows(probabilities, NAMES, top_k=2)
    assert [row["grade"] for row in rows] == decided.tolist()
    np.testing.assert_allclose([row["expected_grade"] for row in rows], answers["expected_grade"], rtol=1e-5)
    measures = TASK.measures(probabilities, LABELS, NAMES)
    assert measures["quadratic_weighted_kappa"] == pytest.approx(TASK.score(LOGITS, LABELS))
    assert "grades" in TASK.describe(measures)[0]


def test_the_metric_of_an_epoch_is_the_score():
    metric = QuadraticWeightedKappa(4)
    for start in range(0, 300, 64):
        part = slice(start, start + 64)
        metric.update_state(TASK.targets(tf.constant(LABELS[part]), 3), LOGITS[part], np.ones(len(LABELS[part])))
    assert float(metric.result()) == pytest.approx(quadratic_weighted_kappa(LABELS, TASK.decide(LOGITS), 4), abs=1e-5)


def test_a_temperature_mends_steps_that_are_too_sure():
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (2000, 2))
    goes_on = random.random((2000, 2)) < 1 / (1 + np.exp(-logits))
    labels = np.where(goes_on[:, 0], 1 + goes_on[:, 1], 0)
    calibration = Ordinal(3).calibrate(np.float32(3 * logits), labels)
    assert 2.3 < calibration.temperature < 3.2
    assert calibration.error[1] < calibration.error[0]


def test_what_was_found_goes_through_json():
    assert Ordinal().with_facts(json.loads(json.dumps(TASK.facts()))) == TASK


def test_balanced_weights_have_mean_one_over_the_images():
    assert TASK.class_weights(LABELS, 3)[LABELS].mean() == pytest.approx(1)
