"""Batches for training and evaluation, the same on every run and from every point of resumption."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tl_keras.data.base import Source, on_host
from tl_keras.data.decoding import decode_image


def training_batches(
    source: Source,
    indices: np.ndarray,
    *,
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    num_classes: int,
    global_batch_size: int,
    seed: int,
    first_epoch: int,
    last_epoch: int,
) -> tf.data.Dataset:
    """Returns the batches of several epochs, each shuffled anew and ended by a short batch where one is left over.

    Order and augmentation of an epoch follow from (seed, epoch) and (seed, epoch, index): starting at a later epoch
    gives exactly what the full run gives from there on.

    Args:
      source: Where the images lie.
      indices: int64 (k,), the images to train on; all decodable.
      transform: From an image, uint8 (height, width, 3), and a seed, int32 (2,), to float32 (H, W, 3).
      num_classes: Length of a label.
      global_batch_size: Images a step, over all replicas.
      seed: Of the run.
      first_epoch: Counted from 0.
      last_epoch: One past the last.

    Returns:
      A dataset of (images float32 (b, H, W, 3), one-hot labels float32 (b, num_classes)).
    """
    labels = on_host(source.labels)

    def batches_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        epoch_seed = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
        shuffle_seed = tf.random.stateless_uniform((), epoch_seed, minval=None, maxval=None, dtype=tf.int64)

        def to_example(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            image_seed = tf.random.fold_in(epoch_seed, element["index"])
            image = transform(decode_image(element["image"]), image_seed)
            return image, tf.one_hot(tf.gather(labels, element["index"]), num_classes)

        return _map(source.images(indices, shuffle_seed=shuffle_seed), to_example).batch(global_batch_size)

    steps = steps_per_epoch(len(indices), global_batch_size) * (last_epoch - first_epoch)
    epochs = tf.data.Dataset.range(first_epoch, last_epoch)
    return _finish(epochs.flat_map(batches_of_epoch), steps)


def evaluation_batches(
    source: Source,
    indices: np.ndarray,
    *,
    transform: Callable[[tf.Tensor], tf.Tensor],
    num_classes: int,
    global_batch_size: int,
) -> tf.data.Dataset:
    """Returns every image once, in the order of `evaluation_order`.

    Args:
      source: Where the images lie.
      indices: int64 (k,), which of them; all decodable.
      transform: From an image, uint8 (height, width, 3), to float32 (H, W, 3).
      num_classes: Length of a label.
      global_batch_size: Images a step, over all replicas.

    Returns:
      A dataset of (images float32 (b, H, W, 3), one-hot labels float32 (b, num_classes)).
    """
    labels = on_host(source.labels)

    def to_example(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image = transform(decode_image(element["image"]))
        return image, tf.one_hot(tf.gather(labels, element["index"]), num_classes)

    batches = _map(source.images(indices), to_example).batch(global_batch_size)
    return _finish(batches, steps_per_epoch(len(indices), global_batch_size))


def evaluation_order(source: Source, indices: np.ndarray) -> np.ndarray:
    """Returns the index of every example of `evaluation_batches`, and of `source.images`, in order; int64 (k,)."""
    return np.sort(indices).astype(np.int64)


def steps_per_epoch(num_images: int, global_batch_size: int) -> int:
    """Returns the batches of an epoch, a short last one included."""
    return math.ceil(num_images / global_batch_size)


def _map(images: tf.data.Dataset, to_example: Callable) -> tf.data.Dataset:
    return images.map(to_example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _finish(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    # flat_map and filter hide how many there are; Keras's progress bar wants to know.
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)
