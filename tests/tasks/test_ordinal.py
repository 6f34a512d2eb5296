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


def too_sure():
    """Returns logits that are three times too large, and the labels."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (2000, 2))
    goes_on = random.random((2000, 2)) < 1 / (1 + np.exp(-logits))
    return np.float32(3 * logits), np.where(goes_on[:, 0], 1 + goes_on[:, 1], 0)


def test_a_temperature_mends_steps_that_are_too_sure():
    calibration = Ordinal(3).calibrate(*too_sure())
    assert calibration.temperature == 1
    assert calibration.error[1] < 0.5 * calibration.error[0]
    assert calibration.negative_log_likelihood[1] < calibration.negative_log_likelihood[0]
    assert 2.0 < Ordinal(3).with_predictions(*too_sure()).temperature < 3.2


def test_the_score_is_that_of_the_answers_whatever_the_temperature():
    logits, labels = too_sure()
    task = Ordinal(3).with_predictions(logits, labels)
    probabilities = task.probabilities(tf.constant(logits)).numpy()
    np.testing.assert_array_equal(task.answers(tf.constant(probabilities), NAMES[:3])["grade"], task.decide(logits))
    measures = task.measures(probabilities, labels, NAMES[:3])
    assert measures["quadratic_weighted_kappa"] == task.score(logits, labels)


def test_probabilities_at_a_temperature_are_accurate_where_a_step_is_nearly_sure():
    logits = np.float32([[14.0, 17.0, -20.0], [80.0, 60.0, 3.0], [-90.0, 5.0, 1.0]])
    wide, task = logits.astype(np.float64), Ordinal(4, temperature=3.0)
    log_beyond = np.cumsum(-np.log1p(np.exp(-wide)), axis=1)
    beyond = 1 / (1 + (-np.expm1(log_beyond) / np.exp(log_beyond)) ** (1 / 3))
    expected = -np.diff(np.concatenate([np.ones((3, 1)), beyond, np.zeros((3, 1))], axis=1), axis=1)
    np.testing.assert_allclose(task.probabilities(tf.constant(logits)).numpy(), expected, atol=2e-6)


def test_what_was_found_goes_through_json():
    task = TASK.with_predictions(LOGITS, LABELS)
    assert Ordinal().with_facts(json.loads(json.dumps(task.facts()))) == task
    assert Ordinal().with_facts({"classes": 4}) == TASK  # of a model of an earlier version


def test_balanced_weights_have_mean_one_over_the_images():
    assert TASK.class_weights(LABELS, 3)[LABELS].mean() == pytest.approx(1)


def test_what_another_task_has_calibrated_answers_alike():
    logits = np.float32([[2.0, -1.0], [0.5, 3.0], [-4.0, 0.0]])
    taught = Ordinal(classes=3, temperature=2.0)
    converted = Ordinal(classes=3).converted(logits, taught)
    answers = Ordinal(classes=3).probabilities(tf.constant(converted))
    np.testing.assert_allclose(answers, taught.probabilities(tf.constant(logits)), atol=1e-5)
