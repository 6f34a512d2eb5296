"""Tests of tl_keras.tasks.base: finding a task by its name, and what a task has unless it says otherwise."""

import keras
import numpy as np
import pytest

from tl_keras.config import TransferConfig, check_options
from tl_keras.errors import ConfigError
from tl_keras.tasks.base import register_task, task_named
from tl_keras.tasks.single_label import SINGLE_LABEL, SingleLabel


class HalfRight(SingleLabel):
    """A task whose score is another one."""

    name = "half_right"

    def score(self, logits, labels):
        return float(np.mean(labels)) / 2

    interval = SingleLabel.__mro__[1].interval  # what a task has that does not override it


def test_auto_is_one_label_per_image():
    assert task_named("auto") is task_named("single_label") is SINGLE_LABEL


def test_a_registered_task_is_found_by_its_name_and_configs_may_name_it():
    with pytest.raises(ConfigError, match="task: expected one of auto, single_label"):
        task_named("half_right")
    task = HalfRight()
    register_task(task)
    assert task_named("half_right") is task
    check_options(TransferConfig(task="half_right"))


def test_the_interval_is_the_bootstraps_and_the_same_each_time():
    labels = np.arange(400) % 2
    logits = np.zeros((400, 2), np.float32)
    low, high = HalfRight().interval(logits, labels)
    # The mean of 400 labels has a standard error of 0.025; the score is half of it.
    assert low == pytest.approx(0.25 - 1.96 * 0.0125, abs=0.003)
    assert high == pytest.approx(0.25 + 1.96 * 0.0125, abs=0.003)
    assert HalfRight().interval(logits, labels) == (low, high)


def test_the_evidence_is_the_logit_of_the_answer_and_has_a_gradient():
    logits = keras.ops.convert_to_tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(SINGLE_LABEL.evidence(logits, np.array([2, 0])), [2, 3])


def test_probabilities_of_outputs_are_those_of_classes_unless_a_task_says_otherwise():
    probabilities = np.array([[0.25, 0.75]], np.float32)
    assert SINGLE_LABEL.class_probabilities(probabilities) is probabilities
