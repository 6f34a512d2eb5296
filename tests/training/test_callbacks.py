"""Tests of tl_keras.training.callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.errors import TrainingError
from tl_keras.training.callbacks import EpochScalars, StopOnNonFiniteLoss


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    inputs = np.zeros((8, 1), np.float32)
    inputs[5] = np.inf  # in the third step
    with pytest.raises(TrainingError, match=r"at step 3 of epoch 1 \(phase head\)"):
        model.fit(inputs, inputs, batch_size=2, shuffle=False, verbose=0, callbacks=[StopOnNonFiniteLoss("head")])


def test_the_scalars_are_those_of_the_epochs(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    values = np.ones((8, 1), np.float32)
    model.fit(values, values, validation_data=(values, values), epochs=2, verbose=0, callbacks=[EpochScalars(tmp_path)])
    written = [
        (place.parts[-2], value.tag, event.step)
        for place in tmp_path.glob("*/*.v2")
        for event in tf.compat.v1.train.summary_iterator(str(place))
        for value in event.summary.value
    ]
    for split in ("train", "validation"):
        assert [step for where, tag, step in written if (where, tag) == (split, "epoch_loss")] == [0, 1]
    assert not [tag for _, tag, _ in written if tag.startswith("batch")]
