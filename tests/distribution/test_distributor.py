"""Tests of tl_keras.distribution.distributor."""

import dataclasses

import tensorflow as tf

from tl_keras.data.batch_shard import BatchShard
from tl_keras.distribution.distributor import Distributor, open_distributor
from tl_keras.distribution.hardware import resolve_hardware


def test_one_device_takes_whole_batches_as_they_are():
    distributor, batches = open_distributor(resolve_hardware("cpu")), tf.data.Dataset.range(3).batch(2)
    assert distributor.shard(training=True) is distributor.shard(training=False) is None
    assert distributor.feed(batches) is batches


def test_the_shard_is_that_of_the_process():
    hardware = dataclasses.replace(resolve_hardware("cpu"), replicas=4, process=1, processes=2)
    assert Distributor(hardware).shard(training=True) == BatchShard(True, 4, 1, 2)


def test_runs_with_the_same_hardware_share_a_distributor():
    assert open_distributor(resolve_hardware("cpu")) is open_distributor(resolve_hardware("cpu"))
