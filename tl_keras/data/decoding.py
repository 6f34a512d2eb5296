"""From an encoded image, or pixels, to RGB; the same in training, evaluation and the exported model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

# From the height and width of an image, int32 (2,), to where a part of it starts, row and column, and how high and wide it is,
# both int32 (2,).
Window = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# A pixel at the edge of what is decoded of a JPEG lacks its neighbours' colour, which is stored for two by two of them: it
# differs from the same pixel of the whole image, the next does not.
_MARGIN = 2


@dataclasses.dataclass(frozen=True)
class JpegFile:
    """A file, string scalar, that is known to be a JPEG.

    To ask in the graph costs a tenth of reading, decoding and resizing: TensorFlow hands what follows to another thread.
    """

    contents: tf.Tensor


def decode_image(image: tf.Tensor | JpegFile, window: Window | None = None) -> tf.Tensor:
    """Returns the RGB pixels of an image, by TensorFlow operations only.

    Args:
      image: String scalar, a file: JPEG (greyscale, colour, CMYK), PNG (8 or 16 bits, greyscale, palette, with or
        without alpha), BMP (8, 24 or 32 bits) or GIF (the first frame). Or uint8 (height, width, channels): 1 is
        greyscale, 2 greyscale and alpha, 3 RGB, 4 RGB and alpha. Alpha is dropped.
      window: The part that is wanted, exactly as it is in the whole image; of a JPEG little else is decoded. None: all.

    Returns:
      uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
      tf.errors.InvalidArgumentError: The file is damaged or of another kind. What lies behind the window is not looked at.
    """
    if isinstance(image, JpegFile):
        return _decode_jpeg(image.contents, window)
    if image.dtype != tf.string:
        return _seen(_to_rgb(image), window)
    return tf.cond(
        tf.io.is_jpeg(image), lambda: _decode_jpeg(image, window), lambda: _seen(_decode_other(image), window)
    )


def _seen(pixels: tf.Tensor, window: Window | None) -> tf.Tensor:
    return pixels if window is None else _part(pixels, *window(tf.shape(pixels)[:2]))


def _part(pixels: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.slice(pixels, tf.concat([start, [0]], 0), tf.concat([size, [3]], 0))


def _decode_jpeg(image: tf.Tensor, window: Window | None) -> tf.Tensor:
    # Exactly what Pillow, and so the training code of most teachers, decodes; the default is up to 21 levels off.
    accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
    if window is None:
        return tf.io.decode_jpeg(image, **accurate)
    whole = tf.io.extract_jpeg_shape(image)[:2]
    start, size = window(whole)
    first, end = tf.maximum(start - _MARGIN, 0), tf.minimum(start + size + _MARGIN, whole)
    decoded = tf.io.decode_and_crop_jpeg(image, tf.concat([first, end - first], 0), **accurate)
    return _part(decoded, start - first, size)


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
