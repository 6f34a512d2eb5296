"""Several replicas on JAX, through `keras.distribution`: one program over all devices, each batch divided among them."""

from __future__ import annotations

import keras
import tensorflow as tf

from tl_keras.distribution.engine import Engine, padded, repeated
from tl_keras.distribution.hardware import Hardware


class DataParallel(Engine):
    """Replicas as parts of one array: losses, gradients and the statistics of BatchNorm are those of the whole batch.

    Args:
      hardware: The decision that it carries out; every variable of Keras that is made from now on is on all its devices.
    """

    def __init__(self, hardware: Hardware):
        super().__init__(hardware)
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=list(hardware.devices)))

    def training(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """See `Engine.training`."""
        return repeated(batches, self.hardware.replicas)

    def evaluation(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """See `Engine.evaluation`."""
        return padded(batches, self.hardware.replicas)
