"""From an encoded image, or pixels, to RGB; the same in training, evaluation and the exported model."""

from __future__ import annotations

import tensorflow as tf


def decode_image(image: tf.Tensor) -> tf.Tensor:
    """Returns the RGB pixels of an image, by TensorFlow operations only.

    Args:
      image: String scalar, a file: JPEG (greyscale, colour, CMYK), PNG (8 or 16 bits, greyscale, palette, with or
        without alpha), BMP (8, 24 or 32 bits) or GIF (the first frame). Or uint8 (height, width, channels): 1 is
        greyscale, 2 greyscale and alpha, 3 RGB, 4 RGB and alpha. Alpha is dropped.

    Returns:
      uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
      tf.errors.InvalidArgumentError: The file is damaged or of another kind.
    """
    if image.dtype != tf.string:
        return _to_rgb(image)
    return tf.cond(tf.io.is_jpeg(image), lambda: _decode_jpeg(image), lambda: _decode_other(image))


def _decode_jpeg(image: tf.Tensor) -> tf.Tensor:
    # Exactly what Pillow, and so the training code of most teachers, decodes; the default is up to 21 levels off.
    return tf.io.decode_jpeg(image, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_other(image: tf.Tensor) -> tf.Tensor:
    pixels = tf.io.decode_image(image, channels=0, expand_animations=False)
    pixels = tf.ensure_shape(pixels, (None, None, None))
    is_bmp = tf.strings.substr(image, 0, 2) == b"BM"
    has_palette = tf.logical_and(is_bmp, tf.shape(pixels)[2] == 1)
    return tf.cond(has_palette, lambda: _look_up_palette(image, pixels), lambda: _to_rgb(pixels))


def _to_rgb(pixels: tf.Tensor) -> tf.Tensor:
    is_grey = tf.shape(pixels)[2] < 3
    rgb = tf.cond(is_grey, lambda: tf.repeat(pixels[:, :, :1], 3, axis=2), lambda: pixels[:, :, :3])
    return tf.ensure_shape(rgb, (None, None, 3))


def _look_up_palette(image: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Returns uint8 (height, width, 3) for a BMP of 8 bits, which TensorFlow decodes to positions in its palette."""
    pixels_start = _little_endian_int32(image, 10)
    palette_start = 14 + _little_endian_int32(image, 14)
    palette = tf.io.decode_raw(tf.strings.substr(image, palette_start, pixels_start - palette_start), tf.uint8)
    blue_green_red = tf.reshape(palette, (-1, 4))[:, :3]
    return tf.gather(blue_green_red[:, ::-1], tf.cast(positions[:, :, 0], tf.int32))


def _little_endian_int32(data: tf.Tensor, offset: int) -> tf.Tensor:
    return tf.io.decode_raw(tf.strings.substr(data, offset, 4), tf.int32)[0]
