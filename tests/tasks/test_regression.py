"""Tests of tl_keras.tasks.regression: numbers."""

import json
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.tasks.regression import Regression

LABELS = np.random.default_rng(0).normal((20.0, 5000.0), (4.0, 100.0), (200, 2))
TASK = Regression().with_labels(LABELS)


def test_targets_are_standardised_and_probabilities_have_the_unit():
    targets = TASK.targets(tf.constant(LABELS), 2).numpy()
    np.testing.assert_allclose(targets.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(targets.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(TASK.probabilities(tf.constant(targets)).numpy(), LABELS, rtol=1e-5)
    assert TASK.score(targets, LABELS) == pytest.approx(1)


def test_tasks_of_equal_labels_are_equal():
    assert Regression().with_labels(LABELS.copy()) == TASK
    assert hash(Regression().with_labels(LABELS.copy())) == hash(TASK)


def test_a_column_that_does_not_vary_divides_by_no_zero():
    constant = Regression().with_labels(np.ones((4, 1)))
    assert np.isfinite(constant.targets(tf.constant(np.ones((4, 1))), 1).numpy()).all()


@pytest.mark.parametrize(("error", "expected"), [(0.5, 0.125), (1.0, 0.5), (3.0, 2.5)])
def test_the_loss_is_hubers(error, expected):
    loss = Regression().loss(label_smoothing=0.0, class_weights=None)
    assert float(loss(tf.constant([[0.0]]), tf.constant([[error]]))[0]) == pytest.approx(expected)


def test_intervals_go_into_answers_and_through_json():
    logits = TASK.targets(tf.constant(LABELS), 2).numpy() + np.random.default_rng(1).normal(0, 0.2, LABELS.shape)
    task = TASK.with_predictions(np.float32(logits), LABELS)
    assert Regression().with_facts(json.loads(json.dumps(task.facts()))) == task
    answers = {k: v.numpy() for k, v in task.answers(tf.constant(np.float32(LABELS[:3])), ("a", "b")).items()}
    assert set(answers) == {"values", "low", "high"}
    np.testing.assert_allclose(answers["high"] - answers["values"], [task.half_widths] * 3, rtol=1e-3)
    measures = task.measures(task.probabilities(tf.constant(logits)).numpy(), LABELS, ("a", "b"))
    assert all(0.88 <= row["coverage"] <= 0.92 for row in measures["columns"])
    assert "R²" in task.describe(measures)[0]


def test_answers_are_counted_by_tenth():
    logits = TASK.targets(tf.constant(LABELS), 2).numpy()
    task = TASK.with_predictions(logits, LABELS)
    np.testing.assert_array_equal(task.count_answers(logits, 2), [20] * 10)
    assert len(task.answer_names(("a", "b"))) == 10
    (name,) = task.names_in({"values": [LABELS[0, 0], 0]})
    assert name == task.answer_names(("a", "b"))[task.decide(logits)[0]]


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        (np.arange(1.0, 12.0), ["below 2", "2 to 3"]),
        (2008 + np.arange(11) / 100, ["below 2008.01", "2008.01 to 2008.02"]),
        (np.repeat([7.0, 8.25], [8, 3]), ["below 7", "7 to 7"]),  # between equal edges lies nothing
    ],
)
def test_tenths_have_as_many_digits_as_tell_them_apart(numbers, names):
    task = Regression(means=(0.0,), deviations=(1.0,), medians=(0.0,)).with_predictions(
        numbers[:, None], numbers[:, None]
    )
    assert list(task.tenths[:2]) == names
    counts = task.count_answers(numbers[:, None], 1)
    said = Counter(name for number in numbers for name in task.names_in({"values": [number]}))
    assert [said[name] if count else 0 for name, count in zip(task.tenths, counts, strict=True)] == counts.tolist()


def test_predictions_that_tell_nothing_become_the_median_and_it_is_said():
    random = np.random.default_rng(0)
    noise = np.float32(random.normal(0, 1, (60, 2)))
    noise[:, 0] = -TASK.targets(tf.constant(LABELS[:60]), 2).numpy()[:, 0]  # the wrong way
    task = TASK.with_predictions(noise, LABELS[:60])
    served = task.probabilities(tf.constant(noise)).numpy()
    np.testing.assert_allclose(served[:, 0], task.medians[0], rtol=1e-5)
    assert task.score(noise, LABELS[:60]) > -0.1
    (remark,) = task.remarks(task.measures(served, LABELS[:60], ("cells", "others")))
    assert remark.startswith("cells: predictions of the validation images were no better than the median")


def test_what_so_few_validation_images_cannot_promise_is_said():
    few = TASK.with_predictions(TASK.targets(tf.constant(LABELS[:4]), 2).numpy(), LABELS[:4])
    assert Regression().with_facts(json.loads(json.dumps(few.facts()))) == few
    lines = few.describe(few.measures(LABELS[:1] + 1, LABELS[:1], ("a", "b")))
    assert lines[0] == "R² cannot be told"
    assert "80% within" in lines[1]
    assert lines[-1] == (
        "the validation images are too few for intervals that hold 90% of the numbers: these are their largest errors, and promise "
        "80%"
    )
    enough = TASK.with_predictions(TASK.targets(tf.constant(LABELS), 2).numpy(), LABELS)
    assert "promise" not in " ".join(enough.describe(enough.measures(LABELS + 1, LABELS, ("a", "b"))))
