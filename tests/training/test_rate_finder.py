"""Tests of tl_keras.training.rate_finder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.errors import TrainingError
from tl_keras.training.optimizers import TransferAdam, VariableTreatment
from tl_keras.training.rate_finder import find_learning_rate


def a_trainer(scale):
    """Returns a linear model of inputs of a scale, and batches that it can learn."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    optimizer = TransferAdam([VariableTreatment()] * 2)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    inputs = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    labels = np.eye(2, dtype="float32")[(inputs[:, 0] > 0).astype(int)]
    return model, tf.data.Dataset.from_tensor_slices((inputs * scale, labels)).batch(32).repeat()


def test_larger_inputs_want_a_smaller_rate():
    rates = [find_learning_rate(*a_trainer(scale)) for scale in (1.0, 100.0)]
    assert 1e-3 < rates[0] <= 0.1
    assert rates[1] < rates[0] / 2


def test_the_model_is_left_as_it_was():
    model, batches = a_trainer(1.0)
    before = [np.array(variable) for variable in [*model.variables, *model.optimizer.variables]]
    find_learning_rate(model, batches)
    for old, new in zip(before, [*model.variables, *model.optimizer.variables], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_is_not_finite_from_the_start_is_one_line():
    with pytest.raises(TrainingError, match="expected a finite number at the first step of the range test"):
        find_learning_rate(*a_trainer(np.inf))
