"""What training asks of the hardware: where variables are made, and how batches reach the replicas.

```
Engine                  one device: what Keras does by itself
├── tf_engine.Replicated      several replicas through tf.distribute, in one process or several
└── jax_engine.DataParallel   several replicas through keras.distribution, in one process or several
```

Several processes run the same program. Each makes the same batches and takes its rows of them.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.distribution.hardware import Hardware
from tl_keras.errors import TrainingError


class Engine:
    """One device.

    Args:
      hardware: The decision that it carries out.
    """

    def __init__(self, hardware: Hardware):
        self.hardware = hardware

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Wherein students, optimizers and trainers are made, so that all replicas have them."""
        yield

    @contextlib.contextmanager
    def fitting(self, model: keras.Model) -> Iterator[None]:
        """Wherein a model is trained."""
        yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Wherein processes wait for each other; a TrainingError, of one line, where one of them is gone."""
        try:
            yield
        except Exception as error:
            if self.hardware.processes == 1 or not self._is_loss(error):
                raise
            raise self._lost() from error

    def _is_loss(self, error: Exception) -> bool:
        """Returns whether an error says that another process is gone."""
        raise NotImplementedError

    def _lost(self) -> TrainingError:
        return TrainingError(
            f"workers: expected all {self.hardware.processes} to train on. Received: one that has stopped or no longer "
            "answers. Start each of them with its command again: the run goes on from its last checkpoint."
        )

    def gathered(self, number: int) -> list[int]:
        """Returns what each process gives, 0 to 2**31 - 1, in their order; they wait for each other."""
        if self.hardware.processes == 1:
            return [number]
        with self.together():
            return self._gather(number)

    def _gather(self, number: int) -> list[int]:
        """Does what `gathered` says, where there are several processes."""
        raise NotImplementedError

    def training(self, batches: tf.data.Dataset) -> Any:
        """Returns what `fit` takes, from batches of (inputs, labels)."""
        return batches

    def evaluation(self, batches: tf.data.Dataset) -> Any:
        """Returns what `evaluate` takes, from batches of (inputs, labels)."""
        return batches


@functools.cache
def open_engine(hardware: Hardware) -> Engine:
    """Returns the engine of a decision; the same one for the same decision, so that runs can share what was made in it."""
    if hardware.strategy == "one_device":
        return Engine(hardware)
    if hardware.engine == "jax":
        from tl_keras.distribution.jax_engine import DataParallel

        return DataParallel(hardware)
    from tl_keras.distribution.tf_engine import Replicated

    return Replicated(hardware)


def settle(model: keras.Model) -> None:
    """Puts what the last step made of a model's variables back into them: Keras on JAX does so after an epoch only."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def blank_batch(model: keras.Model, images: int) -> tuple:
    """Returns the (inputs, labels, weights) of so many images as a step takes them, zeros: what its metrics are built from."""
    inputs = tuple(np.zeros((images, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs)
    labels = np.zeros((images, *model.output_shape[1:]), np.float32)
    return inputs if len(inputs) > 1 else inputs[0], labels, labels[:, 0]


def share(batches: tf.data.Dataset, hardware: Hardware) -> tf.data.Dataset:
    """Leaves of each batch, which divides by the replicas, the rows of this process."""
    if hardware.processes == 1:
        return batches

    def rows(tensor: tf.Tensor) -> tf.Tensor:
        size = tf.shape(tensor)[0] // hardware.processes
        return tensor[hardware.process * size : (hardware.process + 1) * size]

    return batches.map(lambda *batch: tf.nest.map_structure(rows, batch))


def repeated(batches: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Repeats each batch that does not divide by the replicas until it does, so that every replica gets as many images.

    A repeated batch has the mean loss, the gradient and the batch statistics of the batch itself, which a padded one has
    not. It costs memory: at worst, a replica takes the whole of the last batch.

    Args:
      batches: Of (inputs, labels).
      replicas: Copies of the model.

    Returns:
      Batches of (inputs, labels, weights float32 (batch,)): an image that is there k times weighs 1 / k.
    """
    # By what is left over, how often to repeat.
    times = tf.constant([replicas // math.gcd(left, replicas) for left in range(replicas)])

    def repeat(inputs: Any, labels: tf.Tensor) -> tuple:
        size = tf.shape(labels)[0]
        copies = tf.gather(times, size % replicas)

        def tile(tensor: tf.Tensor) -> tf.Tensor:
            return tf.tile(tensor, tf.concat([[copies], tf.ones([tf.rank(tensor) - 1], tf.int32)], 0))

        weights = tf.fill([size * copies], 1 / tf.cast(copies, tf.float32))
        return tf.nest.map_structure(tile, inputs), tile(labels), weights

    return batches.map(repeat)


def padded(batches: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Pads each batch that does not divide by the replicas with blank images of weight 0.

    Args:
      batches: Of (inputs, labels).
      replicas: Copies of the model.

    Returns:
      Batches of (inputs, labels, weights float32 (batch,)).
    """

    def pad(inputs: Any, labels: tf.Tensor) -> tuple:
        size = tf.shape(labels)[0]
        blanks = -size % replicas

        def with_blanks(tensor: tf.Tensor) -> tf.Tensor:
            return tf.concat([tensor, tf.zeros([blanks, *tensor.shape[1:]], tensor.dtype)], 0)

        return tf.nest.map_structure(with_blanks, inputs), with_blanks(labels), with_blanks(tf.ones([size]))

    return batches.map(pad)
