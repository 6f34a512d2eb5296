"""What one process takes of batches that several replicas train on: known before an image is read."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

Rows = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BatchShard:
    """The rows of each batch that one process takes.

    A batch that does not divide by the replicas is repeated in training until it does: it then has the mean loss, the
    gradient and the batch statistics of the batch itself, which a padded one has not. It costs memory: at worst, a replica
    takes the whole of the last batch. In evaluation it is padded.

    Attributes:
      training: Whether the batches are trained on, or evaluated.
      replicas: That take equal parts of a batch, over all processes.
      process: Number of this one, from 0.
      processes: Of which each has as many of the replicas.
    """

    training: bool
    replicas: int
    process: int = 0
    processes: int = 1

    def rows(self, size: int) -> Rows:
        """Returns the rows of a batch of this size that the process takes.

        Returns:
          Rows, int64 (m,), m divisible by its replicas; and weights, float32 (m,), which over all processes add up to 1 for
          each row.
        """
        copies = self.replicas // math.gcd(size, self.replicas) if self.training else 1
        padding = -(size * copies) % self.replicas
        rows: np.ndarray = np.arange(size * copies + padding) % size
        weights: np.ndarray = np.repeat(np.float32([1 / copies, 0]), [size * copies, padding])
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
        """Returns the share of an epoch, of which no other image is read.

        Args:
          examples: From positions in the order of the epoch, int64 (k,), ascending, to the (image, label) there.
          mix: Makes of batches others of the same sizes, of each row and the one before it, or None.
          images: Of the epoch.
          global_batch_size: Images a step, over all replicas; the last step has what is left.

        Returns:
          A dataset of (images, labels, weights float32 (m,)).
        """

        @functools.cache  # an epoch has batches of two sizes at most
        def needed(size: int) -> np.ndarray:
            rows, _ = self.rows(size)
            return np.unique(np.concatenate([rows, rows - 1]) % size if mix else rows)

        starts = range(0, images, global_batch_size)
        needed_of_batches = [needed(min(global_batch_size, images - start)) for start in starts]
        positions = np.concatenate([start + rows for start, rows in zip(starts, needed_of_batches, strict=True)])
        # Not `batch`: of a last batch that is repeated more may be needed than of the others.
        batches = examples(positions).batch(1).rebatch([len(rows) for rows in needed_of_batches])

        def rows_of_needed(size: int) -> Rows:
            rows, weights = self.rows(size)
            return np.array(np.searchsorted(needed(size), rows)), weights

        mixed = mix(batches) if mix else batches
        return _taken(mixed, rows_of_needed, images=images, global_batch_size=global_batch_size)

    def of(self, batches: tf.data.Dataset, *, images: int, global_batch_size: int) -> tf.data.Dataset:
        """Returns the share of an epoch of whole batches, which cost nothing to make.

        Args:
          batches: Of (inputs, labels).
          images: As for `read`.
          global_batch_size: As for `read`.

        Returns:
          A dataset of (inputs, labels, weights float32 (m,)).
        """
        return _taken(batches, self.rows, images=images, global_batch_size=global_batch_size)


def _taken(
    batches: tf.data.Dataset, rows_of: Callable[[int], Rows], *, images: int, global_batch_size: int
) -> tf.data.Dataset:
    """Returns of each batch of an epoch the rows, with their weights, that belong to its size."""
    full, left = divmod(images, global_batch_size)
    rows = tf.data.Dataset.from_tensors(rows_of(global_batch_size)).repeat(full)
    if left:
        rows = rows.concatenate(tf.data.Dataset.from_tensors(rows_of(left)))

    def take(batch: tuple, rows: tuple[tf.Tensor, tf.Tensor]) -> tuple:
        return *tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows[0]), batch), rows[1]

    return tf.data.Dataset.zip((batches, rows)).map(take)
