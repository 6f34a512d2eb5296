"""Tests of tl_keras.training.callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.console import show_details
from tl_keras.errors import TrainingError
from tl_keras.training.callbacks import EpochScalars, ProgressBar, StopOnNonFiniteLoss
from tl_keras.training.time_left import TimeLeft


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


def lines_of(capsys, *, epochs, stopped_after=None):
    """What a phase leaves on stderr, which is no terminal here."""
    bar = ProgressBar(
        "head",
        images_per_epoch=10,
        global_batch_size=10,
        first_epoch=0,
        last_epoch=epochs,
        score_name="accuracy",
        time_left=TimeLeft(20.0),
    )
    for epoch in range(stopped_after or epochs):
        bar.on_train_batch_end(0)
        bar.on_epoch_end(epoch, {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5})
    bar.on_train_end()
    return [line.split()[1] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("epochs", "left"),
    [
        (1, ["1/1"]),
        (5, ["1/5", "2/5", "3/5", "4/5", "5/5"]),
        (65, ["13/65", "26/65", "39/65", "52/65", "65/65"]),
        (170, ["34/170", "68/170", "102/170", "136/170", "170/170"]),
    ],
)
def test_a_log_has_five_lines_a_phase_and_the_last_epoch(capsys, epochs, left):
    assert lines_of(capsys, epochs=epochs) == left


def test_the_epoch_at_which_a_phase_ended_early_has_its_line(capsys):
    assert lines_of(capsys, epochs=50, stopped_after=23) == ["10/50", "20/50", "23/50"]


def test_with_details_every_epoch_has_a_line(capsys):
    show_details()
    try:
        assert len(lines_of(capsys, epochs=50)) == 50
    finally:
        show_details(False)
