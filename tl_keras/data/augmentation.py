"""Changes training images at random; each change is a pure function of an image and its seed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from tl_keras.errors import ConfigError, nearest

_BRIGHTNESS = 0.1  # part of the range 0 to 255, up or down
_CONTRAST = 0.1  # part of the distance to the mean, up or down
_CROP_ATTEMPTS = 10

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_augmentation(preset: str, *, horizontal_flip: bool, quarter_turns: bool = False) -> Augmentation:
    """Returns a function from an image and a seed to a changed image.

    The same seed gives the same image in any process, in any order and at any parallelism.

    Args:
      preset: `none`, `light` (flip, turn, brightness and contrast) or `strong` (the same, then keras-cv's RandAugment).
      horizontal_flip: Whether half of the images are mirrored; False if left and right differ, as for digits.
      quarter_turns: Whether images, which are square then, are turned by 0 to 3 quarters; False if they have an upright.

    Returns:
      A function from an image, float32 (height, width, 3), 0 to 255, and a seed, int32 or int64 (2,), to a changed image.

    Raises:
      ConfigError: There is no such preset.
    """
    light = functools.partial(_light, horizontal_flip=horizontal_flip, quarter_turns=quarter_turns)
    if preset == "none":
        return lambda image, seed: image
    if preset == "light":
        return light
    if preset == "strong":
        from tl_keras.data.rand_augment import SeededRandAugment  # keras-cv takes half a second to import

        rand_augment = SeededRandAugment()
        return lambda image, seed: rand_augment(light(image, seed), tf.random.fold_in(seed, 1))
    raise ConfigError(
        f"augmentation: expected none, light or strong. Received: {preset}. "
        f"{nearest(preset, ('none', 'light', 'strong'))}"
    )


def random_resized_crop(
    image: tf.Tensor,
    seed: tf.Tensor,
    *,
    image_size: int,
    min_area: float,
    resize: Callable[[tf.Tensor, tuple[int, int]], tf.Tensor],
) -> tf.Tensor:
    """Cuts out a random part and resizes it, as Inception's training did (Szegedy et al. 2015, section 6).

    Args:
      image: uint8 or float (height, width, 3).
      seed: int32 or int64 (2,); it alone decides the crop.
      image_size: Height and width of the result.
      min_area: Smallest part of the area that is kept, above 0 and up to 1. The largest is 1; the width is 3/4 to 4/3 of
        the height. If no such part fits in ten attempts, the largest central one is taken.
      resize: Function that resizes an image to a height and width, to float32, as the teacher's training did.

    Returns:
      float32 (image_size, image_size, 3), in the same range as the image.
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    area_seed, shape_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
    area = tf.random.stateless_uniform((_CROP_ATTEMPTS,), area_seed, min_area, 1.0) * tf.cast(
        height * width, tf.float32
    )
    log_ratio = tf.random.stateless_uniform((_CROP_ATTEMPTS,), shape_seed, math.log(3 / 4), math.log(4 / 3))
    crop_heights = tf.cast(tf.round(tf.sqrt(area / tf.exp(log_ratio))), tf.int32)
    crop_widths = tf.cast(tf.round(tf.sqrt(area * tf.exp(log_ratio))), tf.int32)
    fits = (crop_heights >= 1) & (crop_heights <= height) & (crop_widths >= 1) & (crop_widths <= width)
    first = tf.argmax(fits)
    largest_height, largest_width = tf.minimum(height, width * 4 // 3), tf.minimum(width, height * 4 // 3)
    any_fits = tf.reduce_any(fits)
    crop_height = tf.where(any_fits, crop_heights[first], largest_height)
    crop_width = tf.where(any_fits, crop_widths[first], largest_width)
    place = tf.where(any_fits, tf.random.stateless_uniform((2,), place_seed), (0.5, 0.5))
    # Every offset is equally likely.
    room = tf.stack([height - crop_height, width - crop_width])
    offset = tf.minimum(tf.cast(place * tf.cast(room + 1, tf.float32), tf.int32), room)
    crop = tf.slice(image, tf.concat([offset, [0]], 0), tf.stack([crop_height, crop_width, 3]))
    return tf.ensure_shape(resize(crop, (image_size, image_size)), (image_size, image_size, 3))


def _light(image: tf.Tensor, seed: tf.Tensor, *, horizontal_flip: bool, quarter_turns: bool) -> tf.Tensor:
    flip_seed, brightness_seed, contrast_seed = tf.unstack(tf.random.split(seed, 3))
    if horizontal_flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if quarter_turns:
        quarters = tf.random.stateless_uniform((), tf.random.fold_in(seed, 2), 0, 4, tf.int32)
        image = tf.ensure_shape(tf.image.rot90(image, quarters), image.shape)
    image = tf.image.stateless_random_brightness(image, _BRIGHTNESS * 255, brightness_seed)
    image = tf.image.stateless_random_contrast(image, 1 - _CONTRAST, 1 + _CONTRAST, contrast_seed)
    return tf.clip_by_value(image, 0.0, 255.0)
