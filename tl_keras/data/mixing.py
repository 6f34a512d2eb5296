"""Mixes two images of a batch, and their labels, into one, by MixUp or CutMix."""

from __future__ import annotations

import tensorflow as tf


def mix(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, *, mixup: float, cutmix: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each image of a batch with its neighbour, with one proportion for the whole batch; labels in the same proportion.

    Args:
      images: float32 (batch, height, width, 3).
      labels: float32 (batch, classes), rows that sum to 1.
      seed: Integer (2,), which decides the result.
      mixup: Alpha of the Beta distribution of the proportion (Zhang et al. 2018, section 2); 0 for no MixUp.
      cutmix: Alpha for the area of a pasted box (Yun et al. 2019, section 3.1); 0 for no CutMix. With both, each batch gets
        one of them with equal probability.

    Returns:
      Images and soft labels of the same shapes.
    """
    choice, share_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
    if not mixup:
        return _cutmix(images, labels, share_seed, place_seed, cutmix)
    if not cutmix:
        return _mixup(images, labels, share_seed, mixup)
    return tf.cond(
        tf.random.stateless_uniform((), choice) < 0.5,
        lambda: _mixup(images, labels, share_seed, mixup),
        lambda: _cutmix(images, labels, share_seed, place_seed, cutmix),
    )


def _mixup(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    share = _beta(seed, alpha)
    return _blend(images, share), _blend(labels, share)


def _cutmix(
    images: tf.Tensor, labels: tf.Tensor, share_seed: tf.Tensor, place_seed: tf.Tensor, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    side = tf.sqrt(1 - _beta(share_seed, alpha))
    place = tf.random.stateless_uniform((2,), place_seed)
    rows = _inside(height, place[0], side)
    columns = _inside(width, place[1], side)
    pasted = tf.logical_and(rows[:, None], columns[None, :])
    mixed = tf.where(pasted[None, :, :, None], tf.roll(images, 1, axis=0), images)
    # A box that crosses the edge is smaller than drawn; the labels follow the visible area.
    share = 1 - tf.reduce_mean(tf.cast(pasted, tf.float32))
    return mixed, _blend(labels, share)


def _beta(seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns a float32 scalar between 0 and 1, drawn from Beta(alpha, alpha)."""
    one, other = tf.unstack(tf.random.stateless_gamma((2,), seed, alpha=tf.constant(alpha, tf.float32)))
    return tf.math.divide_no_nan(one, one + other)


def _blend(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * values + (1 - share) * tf.roll(values, 1, axis=0)


def _inside(length: tf.Tensor, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Returns bool (length,), whether a position lies in an interval, with centre and side as parts of the length."""
    positions = (tf.cast(tf.range(length), tf.float32) + 0.5) / tf.cast(length, tf.float32)
    return tf.abs(positions - centre) < side / 2
