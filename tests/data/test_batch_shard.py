"""Tests of tl_keras.data.batch_shard."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.batch_shard import BatchShard


def batches_of(images: int, size: int, training: bool, replicas: int, *, process: int = 0, processes: int = 1):
    inputs = np.arange(images, dtype=np.float32)[:, None]
    whole = tf.data.Dataset.from_tensor_slices((inputs, inputs + 100)).batch(size)
    return BatchShard(training, replicas, process, processes).of(whole, images=images, global_batch_size=size)


@pytest.mark.parametrize(("replicas", "processes"), [(2, 1), (3, 1), (4, 2), (8, 4), (6, 6)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("images", [1, 5, 16, 47])
def test_every_share_divides_and_every_image_weighs_one(images, training, replicas, processes):
    weight_of = np.zeros(images)
    for process in range(processes):
        batches = batches_of(images, replicas * 4, training, replicas, process=process, processes=processes)
        for inputs, labels, weights in batches:
            assert len(inputs) == len(labels) == len(weights) > 0
            assert len(inputs) % (replicas // processes) == 0
            np.add.at(weight_of, inputs.numpy()[:, 0].astype(int), weights)
    np.testing.assert_allclose(weight_of, 1, rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_shares_of_all_processes_are_the_batch(training):
    shares = [batches_of(22, 8, training, 4, process=process, processes=2) for process in range(2)]
    for whole, first, second in zip(batches_of(22, 8, training, 4), *shares, strict=True):
        assert len(first[0]) == len(second[0])
        for tensor, *parts in zip(whole, first, second, strict=True):
            np.testing.assert_array_equal(tf.concat(parts, 0), tensor)


def test_a_batch_that_is_trained_on_is_repeated_whole():
    *_, (inputs, labels, weights) = batches_of(21, 16, True, 4)
    assert inputs[:, 0].numpy().tolist() == [16, 17, 18, 19, 20] * 4
    assert set(weights.numpy()) == {0.25}
    np.testing.assert_array_equal(labels, inputs + 100)


def test_what_pads_an_evaluated_batch_weighs_nothing():
    *_, (inputs, _, weights) = batches_of(21, 16, False, 4)
    assert (len(inputs), weights.numpy().tolist()) == (8, [1.0] * 5 + [0.0] * 3)


def test_a_batch_that_divides_stays_as_it_is():
    for training in (True, False):
        inputs, _, weights = next(iter(batches_of(16, 16, training, 4)))
        assert inputs[:, 0].numpy().tolist() == list(range(16))
        assert set(weights.numpy()) == {1.0}


def test_several_inputs_stay_together():
    whole = tf.data.Dataset.from_tensor_slices(((np.arange(5), -np.arange(5)), np.arange(5))).batch(5)
    for training in (True, False):
        (one, other), _, _ = next(iter(BatchShard(training, 2).of(whole, images=5, global_batch_size=5)))
        np.testing.assert_array_equal(one, -other)
