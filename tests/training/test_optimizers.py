"""Tests of tl_keras.training.optimizers."""

import math

import keras
import numpy as np
import pytest

from tl_keras.training.optimizers import TransferAdam, VariableTreatment


def built(*treatments, value=1.0, **begin):
    """Returns an optimizer of as many variables of one number, and the variables."""
    variables = [keras.Variable([value]) for _ in treatments]
    optimizer = TransferAdam(treatments)
    optimizer.build(variables)
    optimizer.begin(**{"learning_rate": 0.1, "steps": math.inf, "warmup_fraction": 0, **begin})
    return optimizer, variables


def take_step(optimizer, variables, gradient=1.0):
    before = np.array([float(variable[0]) for variable in variables])
    optimizer.apply([keras.ops.convert_to_tensor([gradient])] * len(variables), variables)
    return np.array([float(variable[0]) for variable in variables]) - before


def test_the_rate_rises_to_the_peak_and_falls_to_zero():
    optimizer, variables = built(VariableTreatment(), steps=10, warmup_fraction=0.2)
    factors = []
    for _ in range(10):
        factors.append(float(optimizer.schedule()))
        take_step(optimizer, variables)
    cosine = [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    np.testing.assert_allclose(factors, [0.5, 1.0, *cosine], rtol=1e-5)
    assert float(optimizer.schedule()) == pytest.approx(0, abs=1e-6)


def test_without_an_end_the_rate_stays_at_its_peak():
    optimizer, variables = built(VariableTreatment(), steps=math.inf)
    assert [float(optimizer.schedule()) for _ in range(3) if take_step(optimizer, variables).size] == [1.0] * 3


def test_a_first_step_is_the_rate_times_the_factor():
    optimizer, variables = built(VariableTreatment(), VariableTreatment(rate_factor=0.25))
    np.testing.assert_allclose(take_step(optimizer, variables), [-0.1, -0.025], rtol=1e-4)


def test_decay_pulls_to_zero_or_to_the_teacher():
    towards = VariableTreatment(decay=0.5, decay_towards=np.array([3.0]))
    optimizer, variables = built(VariableTreatment(decay=0.5), towards, VariableTreatment())
    np.testing.assert_allclose(take_step(optimizer, variables, gradient=0.0), [-0.05, 0.1, 0.0], rtol=1e-5)


def test_a_new_beginning_forgets_the_steps_and_keeps_the_teacher():
    optimizer, variables = built(VariableTreatment(decay=0.5, decay_towards=np.array([3.0])))
    first = take_step(optimizer, variables)
    variables[0].assign([1.0])
    optimizer.begin(learning_rate=0.1, steps=math.inf, warmup_fraction=0)
    np.testing.assert_array_equal(take_step(optimizer, variables), first)


def test_each_variable_of_a_model_is_treated_as_its_own():
    # Guards the private look-up of Keras that tells which variable a step is for.
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    optimizer = TransferAdam([VariableTreatment(rate_factor=factor) for factor in (0.0, 0.0, 1.0, 0.0)])
    optimizer.build(model.trainable_variables)
    optimizer.begin(learning_rate=0.1, steps=math.inf, warmup_fraction=0)
    model.compile(optimizer, "mse")
    before = model.get_weights()
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    moved = [not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, True, False]
