"""Trains several replicas on JAX through `keras.distribution`: one program over all devices, each batch divided among them."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from tl_keras.distribution.distributor import Distributor
from tl_keras.distribution.hardware import Hardware
from tl_keras.errors import TrainingError

# Uses C's signal handling, because Python's handlers wait for the main thread and the process is gone before.
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)


class DataParallel(Distributor):
    """Treats replicas as parts of one array: losses, gradients and BatchNorm statistics are those of the whole batch.

    Args:
      hardware: Decision that the distributor carries out.
    """

    def __init__(self, hardware: Hardware):
        super().__init__(hardware)
        # Each process passes its own shard of a batch, so Keras must not split it again.
        self._distribution = keras.distribution.DataParallel(devices=list(hardware.devices), auto_shard_dataset=False)
        if hardware.processes > 1:
            # JAX aborts from a thread of its own when it learns first that process 0 is gone or that another process hangs.
            self._at_abort = _HANDLER(lambda _: _end(f"error: {self._lost()}\n"))
            ctypes.CDLL(None).signal(signal.SIGABRT, self._at_abort)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Implements `Distributor.scope`."""
        with self.synchronized(), self._distribution.scope():
            yield

    @contextlib.contextmanager
    def fitting(self, model: keras.Model) -> Iterator[None]:
        """Implements `Distributor.fitting`.

        Batches are divided only in this context. `predict` could not handle one that does not divide, and a variable that one
        process creates alone, such as for the report, would wait for the other processes.
        """
        with self._distribution.scope():
            yield

    def _is_loss(self, error: Exception) -> bool:
        # Gloo, which connects CPUs, raises ValueError.
        return isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)

    def _lost(self) -> TrainingError:
        atexit.register(_end)  # runs before JAX's own handler, which would wait for the lost process and abort
        return super()._lost()

    def _gather(self, number: int) -> list[int]:
        return np.ravel(multihost_utils.process_allgather(np.int32(number))).tolist()


def _end(said: str = "") -> None:
    """Ends this process the way a failed training does."""
    print(said, end="", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(TrainingError.exit_status)
