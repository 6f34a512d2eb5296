"""Decides in which order the images of an epoch are read, and how often each is."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def ordered(indices: np.ndarray, *, shuffle_seed: tf.Tensor | None, weights: np.ndarray | None = None) -> tf.Tensor:
    """Returns indices, int64 (k,), ascending or in the order that a seed decides, or drawn by weights.

    Args:
      indices: int64 (k,).
      shuffle_seed: int64 scalar, possibly symbolic; None for ascending indices, each once.
      weights: Weights of all images of the source, float64 (n,), above 0; see `drawn`. None for each index once.
    """
    order = on_host(np.sort(indices).astype(np.int64))
    if shuffle_seed is None:
        return order
    shuffled = tf.random.experimental.stateless_shuffle(order, seed=tf.stack([shuffle_seed, 0]))
    if weights is None:
        return shuffled
    chosen = drawn(shuffled, weights, shuffle_seed)
    return tf.random.experimental.stateless_shuffle(chosen, seed=tf.stack([shuffle_seed, 3]))


def drawn(order: tf.Tensor, weights: np.ndarray, seed: tf.Tensor) -> tf.Tensor:
    """Returns as many indices as there are, int64 (k,), each about as often as it weighs: systematic sampling (Madow 1949).

    An index that weighs 2.3 times the mean comes two or three times; equal weights give each once.

    Args:
      order: int64 (k,), indices in a random order.
      weights: Weights of all images of the source, float64 (n,), above 0.
      seed: int64 scalar, possibly symbolic.
    """
    ends = tf.cumsum(tf.gather(on_host(weights.astype(np.float64)), order))
    count = tf.size(order)
    start = tf.random.stateless_uniform((), tf.stack([seed, 2]), dtype=tf.float64)
    points = (start + tf.cast(tf.range(count), tf.float64)) * ends[-1] / tf.cast(count, tf.float64)
    return tf.gather(order, tf.minimum(tf.searchsorted(ends, points, side="right"), count - 1))


def shuffle_in_blocks(dataset: tf.data.Dataset, seed: tf.Tensor, *, block_size: int) -> tf.data.Dataset:
    """Shuffles within consecutive blocks.

    `Dataset.shuffle` also depends on TensorFlow's global seed, and fails if that seed is 0 and its own is symbolic.

    Args:
      dataset: Dataset of dictionaries of tensors with fixed shapes.
      seed: int64 (2,), possibly symbolic, which alone decides the order.
      block_size: Number of elements shuffled together; two blocks are in memory at a time.

    Returns:
      A dataset of the same elements.
    """

    def shuffle_block(number: tf.Tensor, block: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        positions = tf.range(tf.shape(block["index"])[0])
        order = tf.random.experimental.stateless_shuffle(positions, seed=tf.random.fold_in(seed, number))
        return {key: tf.gather(column, order) for key, column in block.items()}

    return dataset.batch(block_size).enumerate().map(shuffle_block).prefetch(1).unbatch()


def on_host(values: np.ndarray) -> tf.Tensor:
    """Returns an eager tensor in host memory, even within a graph, which then captures it and stores no copy."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)
