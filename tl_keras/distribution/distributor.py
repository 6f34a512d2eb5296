"""Defines what training needs from the hardware: where variables are created, and how batches reach the replicas.

```
Distributor                       one device, as Keras handles it by itself
├── tf_distributor.Replicated     several replicas through tf.distribute, in one process or several
└── jax_distributor.DataParallel  several replicas through keras.distribution, in one process or several
```

Several processes run the same program, and each reads its shard of every batch (`tl_keras.data.batch_shard`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.data.batch_shard import BatchShard
from tl_keras.distribution.folded_batch_norm import folded_batch_norm
from tl_keras.distribution.fused_batch_norm import fused_batch_norm
from tl_keras.distribution.hardware import Hardware
from tl_keras.errors import TrainingError


class Distributor:
    """Trains on one device, and is the interface of the other distributors.

    Args:
      hardware: Decision that the distributor carries out.
    """

    def __init__(self, hardware: Hardware):
        self.hardware = hardware

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Creates students, optimizers and trainers on all replicas while the context is open."""
        yield

    @contextlib.contextmanager
    def fitting(self, model: keras.Model) -> Iterator[None]:
        """Lets a model be trained and evaluated on the result of `feed` while the context is open."""
        if keras.backend.backend() != "tensorflow":
            yield
            return
        with fused_batch_norm(model), folded_batch_norm(model):
            yield

    @contextlib.contextmanager
    def synchronized(self) -> Iterator[None]:
        """Makes processes wait for each other in the context; raises a one-line TrainingError if one of them is gone."""
        try:
            yield
        except Exception as error:
            if self.hardware.processes == 1 or not self._is_loss(error):
                raise
            raise self._lost() from error

    def _is_loss(self, error: Exception) -> bool:
        """Returns whether an error means that another process is gone."""
        raise NotImplementedError

    def _lost(self) -> TrainingError:
        return TrainingError(
            f"workers: expected all {self.hardware.processes} to train on. Received: one that has stopped or no longer "
            "answers. Start each of them with its command again: the run resumes from its last checkpoint."
        )

    def all_gather(self, number: int) -> list[int]:
        """Returns the number that each process passes, 0 to 2**31 - 1, in process order; processes wait for each other."""
        if self.hardware.processes == 1:
            return [number]
        with self.synchronized():
            return self._gather(number)

    def _gather(self, number: int) -> list[int]:
        """Implements `all_gather` for several processes."""
        raise NotImplementedError

    def shard(self, *, training: bool) -> BatchShard | None:
        """Returns the shard of each training or evaluation batch that this process reads, or None for the whole batch."""
        if self.hardware.replicas == 1:
            return None
        return BatchShard(training, self.hardware.replicas, self.hardware.process, self.hardware.processes)

    def feed(self, batches: tf.data.Dataset) -> Any:
        """Returns the input of `fit` and `evaluate` made from this process's shards of batches."""
        return batches


@functools.cache
def open_distributor(hardware: Hardware) -> Distributor:
    """Returns the distributor of a decision; equal decisions share one, so that runs can share the variables made in it."""
    if hardware.strategy == "one_device":
        return Distributor(hardware)
    if hardware.backend == "jax":
        from tl_keras.distribution.jax_distributor import DataParallel

        return DataParallel(hardware)
    from tl_keras.distribution.tf_distributor import Replicated

    return Replicated(hardware)


def settle(model: keras.Model) -> None:
    """Copies the result of the last step into a model's variables; Keras on JAX does so only after an epoch."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def blank_batch(model: keras.Model, images: int) -> tuple[Any, ...]:
    """Returns a batch of zeros, (inputs, labels, weights), shaped as a step takes it; metrics are built from it."""
    inputs = tuple(
        np.zeros([images, *(length or 1 for length in tensor.shape[1:])], tensor.dtype) for tensor in model.inputs
    )
    labels = np.zeros((images, *model.output_shape[1:]), np.float32)
    return inputs if len(inputs) > 1 else inputs[0], labels, labels[:, 0]
