"""Tests of tl_keras.distribution.engine."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.distribution.engine import open_engine, padded, repeated, share
from tl_keras.distribution.hardware import resolve_hardware


def batches_of(images: int, size: int):
    inputs = np.arange(images, dtype=np.float32)[:, None]
    return tf.data.Dataset.from_tensor_slices((inputs, inputs + 100)).batch(size)


@pytest.mark.parametrize("replicas", [2, 3, 4, 8])
@pytest.mark.parametrize("divided", [repeated, padded])
def test_every_batch_divides_and_every_image_weighs_one(divided, replicas):
    weight_of = np.zeros(23)
    for inputs, labels, weights in divided(batches_of(23, replicas * 2), replicas):
        assert len(inputs) == len(labels) == len(weights)
        assert len(inputs) % replicas == 0
        np.add.at(weight_of, inputs.numpy()[:, 0].astype(int), weights)
    np.testing.assert_allclose(weight_of, 1, rtol=1e-6)


def test_a_repeated_batch_has_the_statistics_of_the_batch():
    *_, (inputs, labels, weights) = repeated(batches_of(21, 16), 4)
    assert (len(inputs), float(weights[0])) == (20, 0.25)
    assert np.mean(inputs) == np.mean([16, 17, 18, 19, 20])
    np.testing.assert_array_equal(labels, inputs + 100)


def test_a_batch_that_divides_stays_as_it_is():
    for divided in (repeated, padded):
        inputs, _, weights = next(iter(divided(batches_of(16, 16), 4)))
        assert inputs[:, 0].numpy().tolist() == list(range(16))
        assert set(weights.numpy()) == {1.0}


def test_each_process_takes_its_rows_of_every_batch():
    batches = padded(batches_of(21, 8), 4)
    shares = [
        share(batches, dataclasses.replace(resolve_hardware("cpu"), replicas=4, process=process, processes=2))
        for process in range(2)
    ]
    for whole, first, second in zip(batches, *shares, strict=True):
        for tensor, *parts in zip(whole, first, second, strict=True):
            np.testing.assert_array_equal(tf.concat(parts, 0), tensor)


def test_several_inputs_stay_together():
    two = batches_of(5, 5).map(lambda inputs, labels: ((inputs, -inputs), labels))
    for divided in (repeated, padded):
        (one, other), _, _ = next(iter(divided(two, 2)))
        np.testing.assert_array_equal(one, -other)


def test_one_device_changes_nothing():
    engine, batches = open_engine(resolve_hardware("cpu")), batches_of(3, 2)
    assert engine.training(batches) is batches
    assert engine.evaluation(batches) is batches


def test_runs_with_the_same_hardware_share_an_engine():
    assert open_engine(resolve_hardware("cpu")) is open_engine(resolve_hardware("cpu"))
