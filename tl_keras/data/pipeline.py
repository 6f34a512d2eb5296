"""Makes batches for training and evaluation, the same on every run and after every resumption."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tl_keras.data.base import Source, untuned
from tl_keras.data.batch_shard import BatchShard
from tl_keras.data.mixing import mix
from tl_keras.data.order import on_host

# From indices of images, int64 (...), and the number of the view that is shown of them, int64 (), to what the loss takes,
# float32 (..., n).
TargetFn = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def training_batches(
    source: Source,
    indices: np.ndarray,
    *,
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    targets: TargetFn,
    global_batch_size: int,
    seed: int,
    first_epoch: int,
    last_epoch: int,
    views: int = 0,
    plain: Callable[[tf.Tensor], tf.Tensor] | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    weights: np.ndarray | None = None,
    shard: BatchShard | None = None,
) -> tf.data.Dataset:
    """Returns the batches of several epochs, each shuffled differently and ended by a short batch if images are left over.

    The order of an epoch depends on (seed, epoch), the augmentation on (seed, view, index), so that starting at a later
    epoch gives exactly the batches of the full run from there on.

    Args:
      source: Source of the images.
      indices: int64 (k,), the images to train on; all decodable.
      transform: Function from an image as the source has it, encoded or pixels, and a seed, int32 (2,), to float32 (H, W, 3).
      targets: Function from indices of images and the view of them to what the loss takes.
      global_batch_size: Number of images per step, over all replicas.
      seed: Seed of the run.
      first_epoch: First epoch, counted from 0.
      last_epoch: Epoch after the last one.
      views: Number of views of each image that the epochs show in turn, the first one plain; 0 for a new view in each epoch.
      plain: Transform of the plain view; required unless `views` is 0.
      mixup: Alpha of MixUp, see `tl_keras.data.mixing.mix`.
      cutmix: Alpha of CutMix, see `tl_keras.data.mixing.mix`.
      weights: Weights of all images of the source, float64 (n,), by which the images of each epoch are drawn; None for each once.
      shard: Shard of each batch to return; None for the whole batch.

    Returns:
      A dataset of (images float32 (b, H, W, 3), targets float32 (b, outputs)), for a shard also weights float32 (b,).
    """

    def batches_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        view = view_of_epoch(epoch, views)
        seed_of_view = view_seed(seed, view)

        def to_example(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            if plain is None:
                image = _view(source, element, transform, seed_of_view)
            else:
                image = tf.cond(
                    view == 0,
                    lambda: plain(source.decodable(element)),
                    lambda: _view(source, element, transform, seed_of_view),
                )
            return image, targets(element["index"], view)

        def examples(positions: np.ndarray | None = None) -> tf.data.Dataset:
            shuffle_seed = epoch_shuffle_seed(seed, epoch)
            return source.images(
                indices, shuffle_seed=shuffle_seed, positions=positions, weights=weights, then=to_example
            )

        mixing_seed = tf.random.fold_in(tf.constant([seed, 1], tf.int64), epoch)

        def mixed(batches: tf.data.Dataset) -> tf.data.Dataset:
            return batches.enumerate().map(
                lambda number, batch: mix(
                    batch[0], batch[1], tf.random.fold_in(mixing_seed, number), mixup=mixup, cutmix=cutmix
                )
            )

        return _batched(examples, mixed if mixup or cutmix else None, shard, len(indices), global_batch_size)

    return over_epochs(batches_of_epoch, first_epoch, last_epoch, steps_per_epoch(len(indices), global_batch_size))


def view_batches(
    source: Source,
    indices: np.ndarray,
    *,
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    seed: int,
    view: int,
    batch_size: int,
) -> tf.data.Dataset:
    """Returns one view of every image, once, in the order of `evaluation_order`.

    Args:
      source: Source of the images.
      indices: int64 (k,), indices of the images; all decodable.
      transform: Transform as in `training_batches`.
      seed: Seed of the run.
      view: Number of the view as `view_of_epoch` counts them, from 1.
      batch_size: Number of images at a time.

    Returns:
      A dataset of (index int64 (b,), images float32 (b, H, W, 3)).
    """
    seed_of_view = view_seed(seed, tf.constant(view, tf.int64))

    def to_view(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return element["index"], _view(source, element, transform, seed_of_view)

    batches = source.images(indices, then=to_view).batch(batch_size)
    return _finish(batches, steps_per_epoch(len(indices), batch_size))


def view_of_epoch(epoch: tf.Tensor, views: int) -> tf.Tensor:
    """Returns the number of the view that an epoch shows, int64 scalar; 0 is plain, and without `views` none repeats."""
    return epoch % views if views else epoch + 1


def view_seed(seed: int, view: tf.Tensor) -> tf.Tensor:
    """Returns the seed, int64 (2,), of one view of all images."""
    return tf.random.fold_in(tf.constant([seed, 0], tf.int64), view)


def epoch_shuffle_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Returns the seed, int64 scalar, of the order of an epoch."""
    epoch_seed = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
    return tf.random.stateless_uniform((), epoch_seed, minval=None, maxval=None, dtype=tf.int64)


def over_epochs(
    batches_of_epoch: Callable[[tf.Tensor], tf.data.Dataset], first_epoch: int, last_epoch: int, steps: int
) -> tf.data.Dataset:
    """Returns the batches of several epochs, one epoch after the other, each of `steps` batches."""
    epochs = tf.data.Dataset.range(first_epoch, last_epoch)
    # AutoGraph is off, as in `in_parallel`.
    batches = epochs.flat_map(tf.autograph.experimental.do_not_convert(batches_of_epoch))
    return _finish(batches, steps * (last_epoch - first_epoch))


def evaluation_batches(
    source: Source,
    indices: np.ndarray,
    *,
    transform: Callable[[tf.Tensor], tf.Tensor],
    targets: TargetFn,
    global_batch_size: int,
    shard: BatchShard | None = None,
) -> tf.data.Dataset:
    """Returns every image once, in the order of `evaluation_order`.

    Args:
      source: Source of the images.
      indices: int64 (k,), indices of the images; all decodable.
      transform: Function from an image as the source has it, encoded or pixels, to float32 (H, W, 3).
      targets: Function from indices of images and the view of them to what the loss takes.
      global_batch_size: Number of images per step, over all replicas.
      shard: Shard of each batch to return; None for the whole batch.

    Returns:
      A dataset of (images float32 (b, H, W, 3), targets float32 (b, outputs)), for a shard also weights float32 (b,).
    """
    plain = tf.constant(0, tf.int64)

    def to_example(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image = transform(source.decodable(element))
        return image, targets(element["index"], plain)

    def examples(positions: np.ndarray | None = None) -> tf.data.Dataset:
        return source.images(indices, positions=positions, then=to_example)

    batches = _batched(examples, None, shard, len(indices), global_batch_size)
    return _finish(batches, steps_per_epoch(len(indices), global_batch_size))


def evaluation_images(
    source: Source, indices: np.ndarray, *, transform: Callable[[tf.Tensor], tf.Tensor]
) -> np.ndarray:
    """Returns the images of `evaluation_batches` in one array, float32 (k, H, W, 3), k at least 1."""
    ((images, _),) = evaluation_batches(
        source, indices, transform=transform, targets=labels_of(source), global_batch_size=len(indices)
    )
    return images.numpy()


def labels_of(source: Source) -> TargetFn:
    """Returns the function whose targets are the labels as the source has them."""
    labels = on_host(source.labels)
    return lambda indices, view: tf.gather(labels, indices)


def evaluation_order(source: Source, indices: np.ndarray) -> np.ndarray:
    """Returns the index of every example of `evaluation_batches`, and of `source.images`, in order; int64 (k,)."""
    return np.sort(indices).astype(np.int64)


def steps_per_epoch(num_images: int, global_batch_size: int) -> int:
    """Returns the number of batches in an epoch, including a short last one."""
    return math.ceil(num_images / global_batch_size)


def _view(
    source: Source, element: dict[str, tf.Tensor], transform: Callable[..., tf.Tensor], seed_of_view: tf.Tensor
) -> tf.Tensor:
    return transform(source.decodable(element), tf.random.fold_in(seed_of_view, element["index"]))


def _batched(
    examples: Callable[..., tf.data.Dataset],
    mixed: Callable[[tf.data.Dataset], tf.data.Dataset] | None,
    shard: BatchShard | None,
    images: int,
    global_batch_size: int,
) -> tf.data.Dataset:
    """Returns the batches of an epoch, or a shard of them; see `BatchShard.read` for `examples` and `mixed`."""
    if shard is not None:
        return shard.read(examples, mixed, images=images, global_batch_size=global_batch_size)
    batches = examples().batch(global_batch_size)
    return mixed(batches) if mixed else batches


def _finish(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    # flat_map and filter hide the number of batches, which Keras's progress bar needs.
    return untuned(batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE))
