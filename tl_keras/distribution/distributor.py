"""What training asks of the hardware: where variables are made, and how batches reach the replicas.

```
Distributor                  one device: what Keras does by itself
├── tf_engine.Replicated      several replicas through tf.distribute, in one process or several
└── jax_engine.DataParallel   several replicas through keras.distribution, in one process or several
```

Several processes run the same program. Each reads its share of every batch (`tl_keras.data.batch_shard`).
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
from tl_keras.distribution.fused_batch_norm import fused_batch_norm
from tl_keras.distribution.hardware import Hardware
from tl_keras.errors import TrainingError


class Distributor:
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
        """Wherein a model is trained and evaluated on what `feed` gives."""
        on_tensorflow = keras.backend.backend() == "tensorflow"
        with fused_batch_norm(model) if on_tensorflow else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def synchronized(self) -> Iterator[None]:
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

    def all_gather(self, number: int) -> list[int]:
        """Returns what each process gives, 0 to 2**31 - 1, in their order; they wait for each other."""
        if self.hardware.processes == 1:
            return [number]
        with self.synchronized():
            return self._gather(number)

    def _gather(self, number: int) -> list[int]:
        """Does what `all_gather` says, where there are several processes."""
        raise NotImplementedError

    def shard(self, *, training: bool) -> BatchShard | None:
        """Returns what this process takes of each batch that is trained on, or evaluated; None: the whole."""
        if self.hardware.replicas == 1:
            return None
        return BatchShard(training, self.hardware.replicas, self.hardware.process, self.hardware.processes)

    def feed(self, batches: tf.data.Dataset) -> Any:
        """Returns what `fit` and `evaluate` take, from the share of batches."""
        return batches


@functools.cache
def open_distributor(hardware: Hardware) -> Distributor:
    """Returns the engine of a decision; the same one for the same decision, so that runs can share what was made in it."""
    if hardware.strategy == "one_device":
        return Distributor(hardware)
    if hardware.engine == "jax":
        from tl_keras.distribution.jax_distributor import DataParallel

        return DataParallel(hardware)
    from tl_keras.distribution.tf_distributor import Replicated

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
