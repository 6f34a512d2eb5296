"""Decides which rows of a batch one process reads, before an image is read, when several replicas train."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Rows = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BatchShard:
    """The rows of each batch that one process reads.

    In training, a batch that the number of replicas does not divide is repeated until it does. It then has the mean loss, the
    gradient and the batch statistics of the original batch, unlike a padded one. This costs memory: at worst, a replica takes
    the whole last batch. In evaluation the batch is padded.

    Attributes:
      training: Whether the batches are for training or for evaluation.
      replicas: Number of replicas over all processes, which take equal parts of a batch.
      process: Number of this process, from 0.
      processes: Number of processes, with equally many replicas each.
    """

    training: bool
    replicas: int
    process: int = 0
    processes: int = 1

    def rows(self, size: int) -> Rows:
        """Returns the rows that the process reads of a batch of this size.

        Returns:
          Rows, int64 (m,), with m divisible by its replicas; and weights, float32 (m,), which over all processes add up to 1
          for each row.
        """
        copies = self.replicas // math.gcd(size, self.replicas) if self.training else 1
        padding = -(size * copies) % self.replicas
        rows: np.ndarray = np.arange(size * copies + padding) % size
        weights: np.ndarray = np.repeat(np.array([1 / copies, 0], np.float32), [size * copies, padding])
        mine = slice(*(number * len(rows) // self.processes for number in (self.process, self.process + 1)))
        return rows[mine], weights[mine]

    def read(
        self,
        examples: Callable[[np.ndarray], tf.data.Dataset],
        mix: Callable[[tf.data.Dataset], tf.data.Dataset] | None,
        *,
        images: int,
        global_batch_size: int,
    ) -> tf.data.Dataset:
        """Returns this process's shard of an epoch, without reading other images.

        Args:
          examples: Function from positions in the order of the epoch, int64 (k,), ascending, to the (image, label) there.
          mix: Function that mixes each row of a batch with the one before it, keeping batch sizes, or None.
          images: Number of images in the epoch.
          global_batch_size: Number of images per step, over all replicas; the last step has the rest.

        Returns:
          A dataset of (images, labels, weights), weights being float32 (m,).
        """

        @functools.cache  # an epoch has batches of two sizes at most
        def needed(size: int) -> np.ndarray:
            rows, _ = self.rows(size)
            return np.unique(np.concatenate([rows, rows - 1]) % size if mix else rows)

        starts = range(0, images, global_batch_size)
        needed_of_batches = [needed(min(global_batch_size, images - start)) for start in starts]
        positions = np.concatenate([start + rows for start, rows in zip(starts, needed_of_batches, strict=True)])
        # Not `batch`, since a repeated last batch may need more rows than the others.
        batches = examples(positions).batch(1).rebatch([len(rows) for rows in needed_of_batches])

        def rows_of_needed(size: int) -> Rows:
            rows, weights = self.rows(size)
            return np.array(np.searchsorted(needed(size), rows)), weights

        mixed = mix(batches) if mix else batches
        return _taken(mixed, rows_of_needed, images=images, global_batch_size=global_batch_size)

    def of(self, batches: tf.data.Dataset, *, images: int, global_batch_size: int) -> tf.data.Dataset:
        """Returns this process's shard of an epoch of whole batches that are cheap to make.

        Args:
          batches: Dataset of (inputs, labels).
          images: Number of images in the epoch.
          global_batch_size: Number of images per step, over all replicas.

        Returns:
          A dataset of (inputs, labels, weights), weights being float32 (m,).
        """
        return _taken(batches, self.rows, images=images, global_batch_size=global_batch_size)


def _taken(
    batches: tf.data.Dataset, rows_of: Callable[[int], Rows], *, images: int, global_batch_size: int
) -> tf.data.Dataset:
    """Returns the rows and weights of each batch of an epoch, according to its size."""
    full, left = divmod(images, global_batch_size)
    rows = tf.data.Dataset.from_tensors(rows_of(global_batch_size)).repeat(full)
    if left:
        rows = rows.concatenate(tf.data.Dataset.from_tensors(rows_of(left)))

    def take(batch: tuple[Any, ...], rows: tuple[tf.Tensor, tf.Tensor]) -> tuple[Any, ...]:
        return *tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows[0]), batch), rows[1]

    return tf.data.Dataset.zip((batches, rows)).map(take)
