"""Tests of tl_keras.training.callbacks."""

import keras
import numpy as np
import pytest

from tl_keras.errors import TrainingError
from tl_keras.training.callbacks import StopOnNonFiniteLoss


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    inputs = np.zeros((8, 1), np.float32)
    inputs[5] = np.inf  # in the third step
    with pytest.raises(TrainingError, match=r"at step 3 of epoch 1 \(phase head\)"):
        model.fit(inputs, inputs, batch_size=2, shuffle=False, verbose=0, callbacks=[StopOnNonFiniteLoss("head")])
