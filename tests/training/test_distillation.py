"""Tests of tl_keras.training.distillation; whole runs are in tests/experiments/test_teacher_comparison.py."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.tasks.base import task_named
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.distillation import DistilledTask, distilled_targets

LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
TAUGHT = np.random.default_rng(0).normal(0, 3, (2, 4, 3)).astype(np.float32)  # two views of four images
LOGITS = np.random.default_rng(1).normal(0, 3, (4, 3)).astype(np.float32)
INDICES = tf.range(4)


def targets(weight=0.75):
    return distilled_targets(
        lambda indices, view: tf.gather(tf.constant(LABELS), indices), TAUGHT, np.array([3]), weight=weight
    )


def losses(rows, temperature=4.0):
    return np.asarray(DistilledTask(SINGLE_LABEL, temperature).loss_of(LossRecipe())(rows, LOGITS))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("view", [0, 1, 2])
def test_an_image_learns_its_label_and_the_answer_to_its_view(view):
    rows = targets()[0](INDICES, tf.constant(view))
    wanted, answers = softmax(TAUGHT[view % 2] / 4), softmax(LOGITS / 4)
    divergence = 16 * (wanted * np.log(wanted / answers)).sum(axis=-1)
    of_labels = -np.log(softmax(LOGITS)[np.arange(4), LABELS.argmax(axis=-1)])
    of_label = np.float32([0.25, 0.25, 0.25, 0])  # the last has none
    np.testing.assert_allclose(losses(rows), of_label * of_labels + 0.75 * divergence, rtol=1e-4)


def test_what_is_measured_has_the_loss_and_the_metric_of_the_labels():
    rows = targets()[1](INDICES, tf.constant(0))
    alone = SINGLE_LABEL.loss(label_smoothing=0, class_weights=None)(LABELS, LOGITS)
    np.testing.assert_allclose(losses(rows), alone, rtol=1e-5)
    ours, theirs = DistilledTask(SINGLE_LABEL, 4.0).metric(), SINGLE_LABEL.metric()
    ours.update_state(rows, LOGITS, sample_weight=np.float32([1, 1, 0, 1]))
    theirs.update_state(LABELS, LOGITS, sample_weight=np.float32([1, 1, 0, 1]))
    assert ours.name == theirs.name
    assert float(ours.result()) == float(theirs.result())
    ours.reset_state()
    assert float(ours.result()) == 0


@pytest.mark.parametrize("weight", [0.75, 1.0])
def test_images_without_a_label_do_not_count_as_wrong(weight):
    rows = targets(weight)[0](INDICES, tf.constant(0))
    metric = DistilledTask(SINGLE_LABEL, 4.0).metric()
    metric.update_state(rows, 5 * LABELS)
    assert float(metric.result()) == 1.0
    metric.reset_state()
    metric.update_state(rows, 5 * LABELS[[1, 1, 1, 1]], sample_weight=np.float32([1, 1, 0, 1]))
    assert float(metric.result()) == 0.5


@pytest.mark.parametrize("name", ["single_label", "multi_label", "ordinal", "regression"])
def test_who_answers_as_the_teacher_has_nothing_to_learn(name):
    task = task_named(name)
    same, other = (np.asarray(task.imitation(TAUGHT[0], each, temperature=2.0)) for each in (TAUGHT[0], LOGITS))
    np.testing.assert_allclose(same, 0, atol=1e-6)
    assert (other > 0.01).all()
