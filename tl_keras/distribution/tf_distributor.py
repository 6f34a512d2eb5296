"""Trains several replicas on TensorFlow through `tf.distribute`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tl_keras.console import say
from tl_keras.distribution.distributor import Distributor, blank_batch
from tl_keras.distribution.hardware import Hardware
from tl_keras.errors import ConfigError
from tl_keras.keras_internals import all_layers, build_metrics, keep_metrics_of_one_worker


class Replicated(Distributor):
    """Replicas take equal parts of each batch and sum their gradients.

    Args:
      hardware: Decision that the distributor carries out.
    """

    def __init__(self, hardware: Hardware):
        super().__init__(hardware)
        self._strategy = _strategy(hardware)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Implements `Distributor.scope`."""
        with self.synchronized(), self._strategy.scope():
            yield

    def _is_loss(self, error: Exception) -> bool:
        # A killed worker is noticed at once, one that hangs after TensorFlow's 10 seconds.
        signs = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.FailedPreconditionError)
        return isinstance(error, signs)

    def _gather(self, number: int) -> list[int]:
        @tf.function(autograph=False)
        def of_replicas() -> tf.Tensor:
            given = self._strategy.run(lambda: tf.constant([number], tf.int32))
            return self._strategy.gather(given, axis=0)

        return of_replicas().numpy().tolist()[:: len(self.hardware.devices)]

    @contextlib.contextmanager
    def fitting(self, model: keras.Model) -> Iterator[None]:
        """Implements `Distributor.fitting`."""
        self._build_metrics(model)
        with synchronized(model):
            yield

    def feed(self, batches: tf.data.Dataset) -> Any:
        """Passes each batch to the replicas in order; `tf.distribute`'s own split lets parts of two batches mix."""
        replicas = len(self.hardware.devices)

        def cut(tensor: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tensor, [replicas, tf.shape(tensor)[0] // replicas, *tensor.shape[1:]])

        parts = batches.map(lambda *batch: tf.nest.map_structure(cut, batch)).unbatch()
        return self._strategy.distribute_datasets_from_function(lambda context: parts)

    def _build_metrics(self, model: keras.Model) -> None:
        """Builds the metrics that `fit` and `evaluate` would otherwise build from their first batch at every call.

        Keras 3.15 takes that batch from an iterator that is used up at the second validation, and reduces it over the
        workers although it has no replica dimension (keras issue 20585).
        """
        with self._strategy.scope():
            build_metrics(model, blank_batch(model, self.hardware.replicas))


@contextlib.contextmanager
def synchronized(model: keras.Model) -> Iterator[None]:
    """Makes BatchNorm that trains compute its statistics over all replicas, in steps traced while the context is open."""
    norms = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.synchronized = True
    yield
    for layer in norms:
        layer.synchronized = False  # would be saved in model.keras, where Keras on JAX refuses it


def _strategy(hardware: Hardware) -> tf.distribute.Strategy:
    if hardware.strategy == "mirrored":
        return tf.distribute.MirroredStrategy([f"/{name}" for name in hardware.devices])
    if hardware.strategy == "multi_worker":
        return _multi_worker(hardware)
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def _multi_worker(hardware: Hardware) -> tf.distribute.Strategy:
    """Waits for the other workers, and returns the strategy over all of them.

    Raises:
      ConfigError: This process has used TensorFlow before, or another worker has a different number of GPUs.
    """
    keep_metrics_of_one_worker()
    say(f"waiting for {hardware.processes - 1} other workers of TF_CONFIG")
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ConfigError(
            "strategy: multi_worker expected a process in which TensorFlow has computed nothing yet. Received: one in which it "
            "has, as with --method=auto. Name the method (python -m tl_keras.advise tells which)."
        ) from error
    if strategy.num_replicas_in_sync != hardware.replicas:
        raise ConfigError(
            f"workers: expected the same number of GPUs on each worker. Received: {strategy.num_replicas_in_sync} in all, and "
            f"{len(hardware.devices)} here. Hide the others with CUDA_VISIBLE_DEVICES."
        )
    return strategy
