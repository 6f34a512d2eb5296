"""Tests of tl_keras.tasks.loss_recipe: the value of each loss by its paper's formula."""

import numpy as np
import pytest

from tl_keras.config import TrainingConfig
from tl_keras.config.choices import losses_of
from tl_keras.tasks.base import task_named
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.tasks.multi_label import MultiLabel
from tl_keras.tasks.regression import Regression
from tl_keras.tasks.single_label import SINGLE_LABEL

LOGITS = np.float32([[2.0, 0.0, -1.0]])
SOFTMAX = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()
SIGMOID = 1 / (1 + np.exp(-LOGITS[0]))
WEIGHTS = (1.0, 3.0, 5.0)
FREQUENCIES = (0.9, 0.09, 0.01)


def loss_of(task, targets, logits=LOGITS, **recipe):
    return float(np.asarray(task.loss_of(LossRecipe(**recipe))(np.float32([targets]), logits))[0])


def adjusted(target):
    odds = np.exp(LOGITS[0]) * FREQUENCIES
    return -np.log(odds[target] / odds.sum())


@pytest.mark.parametrize(
    ("task", "targets", "recipe", "expected"),
    [
        (SINGLE_LABEL, [0, 1, 0], {"name": "cross_entropy"}, -np.log(SOFTMAX[1])),
        (SINGLE_LABEL, [0, 1, 0], {"name": "focal"}, -((1 - SOFTMAX[1]) ** 2) * np.log(SOFTMAX[1])),
        (
            SINGLE_LABEL,
            [0, 1, 0],
            {"name": "focal", "class_weights": WEIGHTS},
            -3 * (1 - SOFTMAX[1]) ** 2 * np.log(SOFTMAX[1]),
        ),
        (SINGLE_LABEL, [0, 0, 1], {"name": "logit_adjustment", "frequencies": FREQUENCIES}, adjusted(2)),
        (
            MultiLabel(),
            [1, 0, np.nan],
            {"name": "focal"},
            -((1 - SIGMOID[0]) ** 2 * np.log(SIGMOID[0]) + SIGMOID[1] ** 2 * np.log(1 - SIGMOID[1])) / 2,
        ),
        (
            MultiLabel(),
            [1, 0, np.nan],
            {"name": "asymmetric", "class_weights": WEIGHTS},
            -(np.log(SIGMOID[0]) + 0.45**4 * np.log(1 - 0.45)) / 2,
        ),
        (MultiLabel(), [0, 1, np.nan], {"name": "focal", "class_weights": WEIGHTS}, None),
        (Regression(), [-1, 0.5, 0], {"name": "huber"}, ((3 - 0.5) + 0.5**3 + 0.5) / 3),
        (Regression(), [-1, 0.5, 0], {"name": "squared"}, (3**2 + 0.5**2 + 1) / 6),
    ],
)
def test_a_loss_is_that_of_its_paper(task, targets, recipe, expected):
    if expected is None:
        having, lacking = (-((1 - p) ** 2) * np.log(p) for p in (SIGMOID[1], 1 - SIGMOID[0]))
        expected = (3 * having + lacking) / 2
    assert loss_of(task, targets, **recipe) == pytest.approx(expected, rel=1e-4)


def test_logits_that_are_certain_make_no_loss_that_is_not_a_number():
    certain = np.float32([[200.0, -200.0]])
    for name in losses_of("multi_label"):
        assert 0 <= loss_of(MultiLabel(), [1, 0], certain, name=name) < 1e-3
        assert np.isfinite(loss_of(MultiLabel(), [0, 1], certain, name=name))


@pytest.mark.parametrize("name", ["single_label", "multi_label", "ordinal", "regression"])
def test_a_config_knows_the_losses_of_a_task(name):
    assert losses_of(name) == task_named(name).losses


def test_equal_facts_make_an_equal_recipe():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    config = TrainingConfig(loss="logit_adjustment", label_smoothing=0.1)
    recipe = LossRecipe.of(config, SINGLE_LABEL, labels, 3)
    assert recipe == LossRecipe("logit_adjustment", 0.1, (), FREQUENCIES)
    assert hash(recipe) == hash(LossRecipe.of(config, SINGLE_LABEL, labels.copy(), 3))
    assert LossRecipe.of(TrainingConfig(class_weights="balanced"), SINGLE_LABEL, labels, 3).weights[2] == pytest.approx(
        100 / 3
    )


def test_classes_and_the_rarest_labels_are_drawn_equally_often():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    weights = SINGLE_LABEL.sampling_weights(labels, 3)
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(np.bincount(labels, weights), 100 / 3)
    several = np.zeros((100, 2), np.int64)
    several[:, 0], several[:5, 1], several[:, 0][95:] = 1, 1, 0  # five with both, five with none
    several[95:97] = -1  # what is not known is not had
    drawn = MultiLabel().sampling_weights(several, 2)
    assert drawn.mean() == pytest.approx(1)
    assert drawn[0] / drawn[50] == pytest.approx(10)  # at most, not 19
    assert drawn[99] == pytest.approx(drawn[0])
