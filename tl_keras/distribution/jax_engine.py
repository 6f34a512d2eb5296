"""Several replicas on JAX, through `keras.distribution`: one program over all devices, each batch divided among them."""

from __future__ import annotations

import jax
import keras
import numpy as np
import tensorflow as tf
from jax.experimental import multihost_utils

from tl_keras.distribution.engine import Engine, padded, repeated, share
from tl_keras.distribution.hardware import Hardware


class DataParallel(Engine):
    """Replicas as parts of one array: losses, gradients and the statistics of BatchNorm are those of the whole batch.

    Args:
      hardware: The decision that it carries out; every variable of Keras that is made from now on is on all devices of all
        processes.
    """

    _signs_of_loss = (jax.errors.JaxRuntimeError,)

    def __init__(self, hardware: Hardware):
        super().__init__(hardware)
        # Each process gives its share of a batch: Keras is not to take a part of it once more.
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=list(hardware.devices), auto_shard_dataset=False)
        )

    def _gather(self, number: int) -> list[int]:
        return np.ravel(multihost_utils.process_allgather(np.int32(number))).tolist()

    def training(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """See `Engine.training`."""
        return share(repeated(batches, self.hardware.replicas), self.hardware)

    def evaluation(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """See `Engine.evaluation`."""
        return share(padded(batches, self.hardware.replicas), self.hardware)
