"""Tests of tl_keras.training.optimizers."""

import keras
import numpy as np
import pytest

from tl_keras.training.optimizers import make_optimizer


def rates(steps, **changes):
    """Returns the learning rate at each step, 0 to steps."""
    options = {"learning_rate": 0.1, "steps": steps, "warmup_fraction": 0.1, "weight_decay": 0.0, **changes}
    schedule = make_optimizer(**options)._learning_rate
    return np.array([float(schedule(step)) for step in range(steps + 1)])


def test_the_rate_warms_up_to_the_peak_and_falls_to_zero():
    rate = rates(100)
    assert rate.argmax() == 10
    assert rate[10] == pytest.approx(0.1)
    assert np.all(np.diff(rate[:11]) > 0)
    assert np.all(np.diff(rate[10:]) < 0)
    assert rate[100] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("steps", "warmup_fraction"), [(1, 0.1), (5, 0.0), (2, 0.9)])
def test_a_short_phase_has_a_rate_above_zero_from_the_first_step(steps, warmup_fraction):
    assert rates(steps, warmup_fraction=warmup_fraction)[0] > 0


def test_weight_decay_leaves_biases_and_normalisation_alone():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    optimizer = make_optimizer(learning_rate=0.1, steps=10, warmup_fraction=0.0, weight_decay=0.5)
    optimizer.build(model.trainable_variables)
    model.layers[0].bias.assign([1.0, 1.0])
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])
    unchanged = [np.array_equal(a, b) for a, b in zip(before, model.trainable_variables, strict=True)]
    assert unchanged == [False, True, True, True]
