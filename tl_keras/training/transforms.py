"""Turns an image of any size into the network's training input: the teacher's preprocessing joined with augmentation."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tl_keras.backbones.preprocessing import Preprocess, PreprocessSpec
from tl_keras.config.defaults import MIN_CROP_AREAS
from tl_keras.data.augmentation import make_augmentation, random_resized_crop
from tl_keras.errors import ConfigError


def training_transform(
    preprocess: Preprocess,
    *,
    augmentation: str,
    horizontal_flip: bool,
    min_crop_area: float = 0.0,
    quarter_turns: bool = False,
    own: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the train-time transform of one image.

    Args:
      preprocess: The teacher's preprocessing; its size and its way of resizing are kept.
      augmentation: `none` (exactly the evaluation transform), `light` or `strong` (a random resized crop in place of
        the centre crop, then the preset), or `own` (the evaluation transform, then a function of the program).
      horizontal_flip: Whether half of the images are mirrored.
      min_crop_area: Smallest part of the area that is shown; 0 for the preset's own, 1 for the whole image as in evaluation.
      quarter_turns: Whether images are turned by none to three quarters.
      own: That function; see `tl_keras.training.own_parts.OwnParts`.

    Returns:
      A function from an image, as `tl_keras.data.decoding.decode_image` takes it, and a seed, integer (2,), to float32
      (image_size, image_size, 3), RGB, 0 to 255.
    """
    if augmentation == "none":
        return lambda image, seed: preprocess.evaluation_transform(image)
    if not isinstance(preprocess, PreprocessSpec):
        raise ConfigError(
            f"augmentation: expected none, since texts are not varied. Received: {augmentation}. Leave it out."
        )
    if own is not None:
        return lambda image, seed: _changed(own, preprocess.evaluation_transform(image), seed)
    augment = make_augmentation(augmentation, horizontal_flip=horizontal_flip, quarter_turns=quarter_turns)
    min_area = min_crop_area or MIN_CROP_AREAS[augmentation]

    def transform(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        crop_seed, augmentation_seed = tf.unstack(tf.random.split(seed, 2))
        if min_area == 1:
            return augment(preprocess.evaluation_transform(image), augmentation_seed)
        pads_or_squashes = preprocess.rule in ("squash", "pad")
        cropped = random_resized_crop(
            preprocess.evaluation_transform(image) if pads_or_squashes else preprocess.decode(image),
            crop_seed,
            image_size=preprocess.image_size,
            min_area=min_area,
            resize=preprocess.resize,
        )
        return augment(cropped, augmentation_seed)

    return transform


def _changed(own: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns what the program's function makes of an image, which has to be an image of the same shape.

    Raises:
      ConfigError: It is not.
    """
    changed = tf.cast(own(image, tf.cast(seed, tf.int32)), tf.float32)
    if not changed.shape.is_compatible_with(image.shape):
        raise ConfigError(
            f"augmentation: expected an image of shape {tuple(image.shape)} from the program's function. Received: "
            f"{tuple(changed.shape)}. Crop or resize it to its former size."
        )
    return tf.ensure_shape(changed, image.shape)
