"""A training step of Keras on TensorFlow as one of several replicas takes it, lowered for XLA without those replicas.

`TPUStrategy` needs a TPU to be made. Here stands in for it a strategy that has one replica and says that it is one of several:
Keras takes the same way through its step, and what the replicas sum becomes an all-reduce of XLA.
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
    """One of several replicas."""

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
    """Returns the training step of a compiled model as one replica takes it, a serialized HloModuleProto.

    Args:
      model: Keras on TensorFlow, its optimizer and metrics built.
      replicas: That share a batch.
      global_batch_size: Images over all replicas, a multiple of their number.

    Raises:
      ValueError: XLA has no kernel for an operation of the step; TensorFlow's.
    """
    strategy = _OneOf(replicas)

    @tf.function(jit_compile=True, autograph=False)
    def step(*batch):
        return strategy.run(model.train_step, args=(batch,))

    share = tf.nest.map_structure(
        lambda blank: tf.TensorSpec((global_batch_size // replicas, *blank.shape[1:]), blank.dtype),
        blank_batch(model, 1),
    )
    with synchronized(model):
        return step.experimental_get_compiler_ir(*share)(stage="hlo_serialized")
