"""Tests of tl_keras.tasks.multi_label: several labels per image."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.tasks.multi_label import MultiLabel

LOGITS = np.float32([[2.0, -1.0, 0.5]])


def loss_of(targets, **options):
    loss = MultiLabel().loss(**{"label_smoothing": 0.0, "class_weights": None, **options})
    return float(np.asarray(loss(tf.constant(np.float32([targets])), tf.constant(LOGITS)))[0])


def entropies(targets, weights=(1, 1, 1)):
    probabilities = 1 / (1 + np.exp(-LOGITS[0].astype(np.float64)))
    targets, weights = np.array(targets), np.array(weights)
    return -(weights * targets * np.log(probabilities) + (1 - targets) * np.log(1 - probabilities))


def test_the_loss_is_the_mean_cross_entropy_of_the_labels():
    assert loss_of([1, 0, 1]) == pytest.approx(entropies([1, 0, 1]).mean(), rel=1e-5)


def test_unknown_labels_are_masked_and_have_no_gradient():
    assert loss_of([1, np.nan, 0]) == pytest.approx(entropies([1, 0, 0])[[0, 2]].mean(), rel=1e-5)
    assert loss_of([np.nan] * 3) == 0
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = MultiLabel().loss(label_smoothing=0.0, class_weights=None)(tf.constant([[1.0, np.nan, 0.0]]), logits)
    gradient = tape.gradient(loss, logits).numpy()[0]
    assert gradient[1] == 0
    assert np.isfinite(gradient).all()


def test_having_a_label_weighs_and_smoothing_pulls_to_one_half():
    weights = np.float32([3, 1, 1])
    assert loss_of([1, 0, 1], class_weights=weights) == pytest.approx(entropies([1, 0, 1], weights).mean(), rel=1e-5)
    assert loss_of([1, 0, 1], label_smoothing=0.2) == pytest.approx(entropies([0.9, 0.1, 0.9]).mean(), rel=1e-5)


def test_mixed_targets_mix_and_stay_unknown():
    targets = MultiLabel().targets(tf.constant([[1, 0, -1], [0, 0, 1]]), 3).numpy()
    mixed = 0.25 * targets[0] + 0.75 * targets[1]
    np.testing.assert_array_equal(mixed, [0.25, 0, np.nan])


def test_what_another_task_has_calibrated_is_its_logits_divided():
    taught = MultiLabel(count=3, temperatures=(2.0, 1.0, 0.5))
    converted = MultiLabel(count=3).converted(LOGITS, taught)
    np.testing.assert_allclose(tf.sigmoid(converted), taught.probabilities(tf.constant(LOGITS)), atol=1e-6)


def test_balanced_weights_are_bounded():
    labels = np.array([[1, 1]] + [[0, 1]] * 9 + [[0, 0]] * 10 + [[0, -1]] * 30)
    np.testing.assert_allclose(MultiLabel().class_weights(labels, 2), [10, 1])


@pytest.fixture(scope="module")
def fitted():
    """The task after predictions of images whose logits are three times too large."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(400, 2)) * 2
    labels = (random.random((400, 2)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return MultiLabel(count=2).with_predictions(np.float32(3 * logits), labels), np.float32(3 * logits), labels


def test_each_label_gets_a_temperature(fitted):
    task, logits, labels = fitted
    assert all(2 < temperature < 3.5 for temperature in task.temperatures)
    calibration = task.calibrate(logits, labels)
    assert calibration.error[1] < calibration.error[0]
    assert calibration.temperature == 1.0


def test_what_was_found_goes_through_json(fitted):
    task, _, _ = fitted
    assert MultiLabel().with_facts(json.loads(json.dumps(task.facts()))) == task


def test_answers_are_the_labels_above_their_thresholds(fitted):
    task, _, _ = fitted
    probabilities = tf.constant([[task.thresholds[0] + 0.05, task.thresholds[1] + 0.1], [0.0, 0.0], [0.0, 1.0]])
    answers = {name: value.numpy() for name, value in task.answers(probabilities, ("a", "b")).items()}
    assert set(answers["labels"][0]) == {b"a", b"b"}
    assert answers["labels"][1:].tolist() == [[b"", b""], [b"b", b""]]
    assert answers["scores"][1].tolist() == [0, 0]
    np.testing.assert_allclose(answers["thresholds"], [task.thresholds] * 3, rtol=1e-6)
    rows = task.rows(probabilities.numpy(), ("a", "b"), top_k=1)
    assert [[each["label"] for each in row["labels"]] for row in rows[1:]] == [[], ["b"]]


def test_answers_are_counted_by_label(fitted):
    task, logits, _ = fitted
    np.testing.assert_array_equal(task.count_answers(logits, 2), task.decide(logits).sum(axis=0))
    assert task.names_in({"labels": ["b", ""]}) == ["b"]


def test_labels_that_the_mean_leaves_out_are_named():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0]])
    task, scores = (
        MultiLabel(count=3, thresholds=(0.5,) * 3),
        np.float32([[0.9, 0.9, 0.1], [0.2, 0.8, 0.1], [0.7, 0.9, 0.2]]),
    )
    assert task.remarks(task.measures(scores, labels, ("a", "b", "c"))) == [
        "the mean average precision is that of 1 of 3 labels: all measured images have, or all lack, b, c"
    ]
    assert task.remarks(task.measures(scores[:, :1], labels[:, :1], ("a",))) == []


def test_one_answer_for_all_ranks_nothing_and_has_the_part_of_the_images_with_a_label_as_its_precision():
    labels = np.array([[1, 1, 0], [0, 1, -1], [0, 1, 1], [0, 1, 0]])
    assert MultiLabel().baseline_score(labels, labels) == pytest.approx(
        (1 / 4 + 1 / 3) / 2
    )  # the second has nothing to rank
    assert MultiLabel().baseline_score(labels, labels[:, 1:2]) is None
