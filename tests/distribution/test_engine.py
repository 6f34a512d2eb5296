"""Tests of tl_keras.distribution.engine."""

import dataclasses

import tensorflow as tf

from tl_keras.data.share import Share
from tl_keras.distribution.engine import Engine, open_engine
from tl_keras.distribution.hardware import resolve_hardware


def test_one_device_takes_whole_batches_as_they_are():
    engine, batches = open_engine(resolve_hardware("cpu")), tf.data.Dataset.range(3).batch(2)
    assert engine.share(training=True) is engine.share(training=False) is None
    assert engine.feed(batches) is batches


def test_the_share_is_that_of_the_process():
    hardware = dataclasses.replace(resolve_hardware("cpu"), replicas=4, process=1, processes=2)
    assert Engine(hardware).share(training=True) == Share(True, 4, 1, 2)


def test_runs_with_the_same_hardware_share_an_engine():
    assert open_engine(resolve_hardware("cpu")) is open_engine(resolve_hardware("cpu"))
