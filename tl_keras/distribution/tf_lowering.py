"""Lowers the training step that one of several replicas runs on TensorFlow for XLA, without those replicas.

`TPUStrategy` cannot be made without a TPU. Its substitute here is a strategy with one replica that claims to be one of several:
Keras goes the same way through its step, and the sum over replicas becomes an all-reduce of XLA.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.distribute.one_device_strategy import OneDeviceExtended

from tl_keras.distribution.distributor import blank_batch
from tl_keras.distribution.tf_distributor import synchronized


class _OneOf(tf.distribute.Strategy):
    """A strategy with one replica that says it is one of several."""

    def __init__(self, replicas: int):
        super().__init__(_OneOfExtended(self, replicas))


class _OneOfExtended(OneDeviceExtended):
    def __init__(self, strategy: _OneOf, replicas: int):
        super().__init__(strategy, "CPU:0")
        self._replicas = replicas

    @property
    def _num_replicas_in_sync(self) -> int:
        return self._replicas

    def _reduce_to(
        self, reduce_op: tf.distribute.ReduceOp, value: tf.Tensor, destinations: Any, options: Any
    ) -> tf.Tensor:
        total = gen_xla_ops.xla_all_reduce(
            value, group_assignment=[list(range(self._replicas))], reduce_op="Add", mode="CrossReplica"
        )
        return total / self._replicas if reduce_op == tf.distribute.ReduceOp.MEAN else total


def lower_step(model: keras.Model, *, replicas: int, global_batch_size: int) -> bytes:
    """Returns the training step of a compiled model as one replica runs it, a serialized HloModuleProto.

    Args:
      model: Model of Keras on TensorFlow, its optimizer and metrics built.
      replicas: Number of replicas that share a batch.
      global_batch_size: Number of images over all replicas, a multiple of `replicas`.

    Raises:
      ValueError: XLA has no kernel for an operation of the step (raised by TensorFlow).
    """
    strategy = _OneOf(replicas)

    @tf.function(jit_compile=True, autograph=False)
    def step(*batch: tf.Tensor) -> Any:
        return strategy.run(model.train_step, args=(batch,))

    share = tf.nest.map_structure(
        lambda blank: tf.TensorSpec((global_batch_size // replicas, *blank.shape[1:]), blank.dtype),
        blank_batch(model, 1),
    )
    with synchronized(model):
        return step.experimental_get_compiler_ir(*share)(stage="hlo_serialized")
