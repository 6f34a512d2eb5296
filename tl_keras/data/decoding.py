"""Turns an encoded image, or pixels, into RGB, in the same way in training, evaluation and the exported model."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from tl_keras.data.bmp import decode_bmp
from tl_keras.data.exif import Window, orientation_of, stored_window, turn_upright, unsigned_bytes
from tl_keras.data.gif import decode_gif

# A pixel at the edge of the decoded part of a JPEG lacks its neighbours' colour, which is stored for blocks of two by two. It
# differs from the same pixel of the whole image; the next pixel does not.
_MARGIN = 2

BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0)}

# JPEG quality at which a photo cannot be told from the original at the size of a thumbnail.
_JPEG_QUALITY = 80

# TensorFlow reads WebP from 2.20 on.
READS_WEBP = hasattr(tf.io, "decode_webp")


@dataclasses.dataclass(frozen=True)
class JpegFile:
    """A file, string scalar, that is known to be a JPEG.

    Asking in the graph costs a tenth of reading, decoding and resizing, since TensorFlow continues in another thread.

    Attributes:
      contents: The encoded file.
      is_upright: Whether it is also known to have the ordinary orientation.
    """

    contents: tf.Tensor
    is_upright: bool = False


def decode_image(
    image: tf.Tensor | JpegFile,
    window: Window | None = None,
    *,
    background: str = "white",
    significant_bits: int = 16,
) -> tf.Tensor:
    """Returns the RGB pixels of an image, by TensorFlow operations only.

    Args:
      image: String scalar, a file: JPEG, PNG, BMP, GIF (the first frame) or, from TensorFlow 2.20 on, WebP, in the
        variants that docs/data.md lists, turned according to its EXIF orientation. Or uint8 (height, width, channels):
        1 is greyscale, 2 greyscale and alpha, 3 RGB, 4 RGB and alpha.
      window: Part to return, exactly as in the whole, upright image; of a JPEG little else is decoded. None means all.
      background: Colour under transparent pixels, a key of `BACKGROUNDS`.
      significant_bits: Number of bits that the values of 16-bit PNG files use, 8 to 16: 2**significant_bits - 1 is white.

    Returns:
      uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
      tf.errors.InvalidArgumentError: The file is damaged or of another type. Parts after the window are not checked.
    """
    if isinstance(image, JpegFile):
        decode = _decode_stored_jpeg if image.is_upright else _decode_jpeg
        return decode(image.contents, window)
    if image.dtype != tf.string:
        return _part(_to_rgb(image, background), window)
    return tf.cond(
        tf.io.is_jpeg(image),
        lambda: _decode_jpeg(image, window),
        lambda: _part(_other_decoder(background, significant_bits)(image), window),
    )


def _decode_jpeg(file: tf.Tensor, window: Window | None) -> tf.Tensor:
    # Most files have the quantisation tables first, or after JFIF's 18-byte segment; a search would cost more than a millisecond.
    markers = unsigned_bytes(file, 2, 20)
    is_plain = (markers[1] == 0xDB) | tf.reduce_all(tf.gather(markers, [1, 3, 18, 19]) == [0xE0, 16, 0xFF, 0xDB])
    orientation = tf.cond(is_plain, lambda: tf.constant(1), lambda: orientation_of(file))
    return tf.cond(
        orientation == 1,
        lambda: _decode_stored_jpeg(file, window),
        lambda: turn_upright(_decode_stored_jpeg(file, stored_window(window, orientation)), orientation),
    )


def _decode_stored_jpeg(file: tf.Tensor, window: Window | None) -> tf.Tensor:
    # Decodes exactly as Pillow does, and so the training code of most teachers; the default differs by up to 21 levels.
    accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
    if window is None:
        return tf.io.decode_jpeg(file, **accurate)
    whole = tf.io.extract_jpeg_shape(file)[:2]
    start, size = window(whole)
    first, end = tf.maximum(start - _MARGIN, 0), tf.minimum(start + size + _MARGIN, whole)
    decoded = tf.io.decode_and_crop_jpeg(file, tf.concat([first, end - first], 0), **accurate)
    return _part(decoded, lambda _: (start - first, size))


def _part(pixels: tf.Tensor, window: Window | None) -> tf.Tensor:
    if window is None:
        return pixels
    start, size = window(tf.shape(pixels)[:2])
    return tf.slice(pixels, tf.concat([start, [0]], 0), tf.concat([size, [3]], 0))


@functools.cache
def _other_decoder(background: str, significant_bits: int) -> tf.types.experimental.PolymorphicFunction:
    """Returns the decoder of files other than JPEG, traced once however many graphs call it."""

    def decode(file: tf.Tensor) -> tf.Tensor:
        first = unsigned_bytes(file, 0, 4)
        kinds = [b"\x89PNG", b"BM", b"GIF8"]
        matches = tf.stack([tf.reduce_all(first[: len(kind)] == list(kind)) for kind in kinds] + [True])
        pixels = tf.switch_case(
            tf.argmax(matches, output_type=tf.int32),
            [
                lambda: _decode_png(file, significant_bits),
                lambda: decode_bmp(file),
                lambda: decode_gif(file, BACKGROUNDS[background]),
                lambda: _decode_webp(file),
            ],
        )
        rgb, orientation = _to_rgb(pixels, background), orientation_of(file)
        return tf.cond(orientation == 1, lambda: rgb, lambda: turn_upright(rgb, orientation))

    return tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def _decode_png(file: tf.Tensor, significant_bits: int) -> tf.Tensor:
    """Returns uint8 (height, width, channels) with 1 to 4 channels, as `decode_image` takes them."""
    depth = unsigned_bytes(file, 24, 1)[0]
    # With four channels, TensorFlow 2.21 also returns the alpha of single transparent colours, but below 8 bits it then returns
    # other colours; without, it returns what Pillow does.
    pixels = tf.cond(depth < 8, lambda: tf.io.decode_png(file, channels=0), lambda: tf.io.decode_png(file, channels=4))
    if significant_bits == 16:
        return pixels

    def scaled() -> tf.Tensor:
        deep = tf.cast(tf.io.decode_png(file, channels=4, dtype=tf.uint16), tf.int32)
        colours = tf.minimum(tf.bitwise.right_shift(deep[..., :3], significant_bits - 8), 255)
        return tf.cast(tf.concat([colours, tf.bitwise.right_shift(deep[..., 3:], 8)], 2), tf.uint8)

    return tf.cond(depth == 16, scaled, lambda: pixels)


def _decode_webp(file: tf.Tensor) -> tf.Tensor:
    """Returns uint8 (height, width, 3 or 4) of a file without animation; some animations abort TensorFlow 2.21's process."""
    header = unsigned_bytes(file, 8, 13)
    is_webp = tf.reduce_all(header[:4] == list(b"WEBP"))
    is_animated = tf.reduce_all(header[4:8] == list(b"VP8X")) & (tf.bitwise.bitwise_and(header[12], 2) > 0)
    with tf.control_dependencies(
        [tf.debugging.Assert(is_webp & ~is_animated, ["expected JPEG, PNG, BMP, GIF or WebP"])]
    ):
        pixels = tf.io.decode_image(file, channels=0, expand_animations=False)
    return tf.ensure_shape(pixels, (None, None, None))


def _to_rgb(pixels: tf.Tensor, background: str) -> tf.Tensor:
    channels = tf.shape(pixels)[2]
    is_grey, has_alpha = channels < 3, channels % 2 == 0
    colours = tf.cond(is_grey, lambda: tf.repeat(pixels[:, :, :1], 3, axis=2), lambda: pixels[:, :, :3])
    colours = tf.ensure_shape(colours, (None, None, 3))
    # Checking the last channel of an opaque image is cheap, blending is not.
    is_seen_through = has_alpha & (tf.reduce_min(tf.where(has_alpha, pixels[:, :, -1], 255)) < 255)
    return tf.cond(is_seen_through, lambda: _blend(colours, pixels[:, :, -1:], background), lambda: colours)


def _blend(colours: tf.Tensor, alpha: tf.Tensor, background: str) -> tf.Tensor:
    """Returns colours laid over a background, uint8 (height, width, 3), rounded to the nearest integer."""
    colours, alpha = tf.cast(colours, tf.uint16), tf.cast(alpha, tf.uint16)  # 255 * 255 + 127 fits
    below = tf.constant(BACKGROUNDS[background], tf.uint16)
    return tf.cast((colours * alpha + below * (255 - alpha) + 127) // 255, tf.uint8)


def small_jpeg(pixels: tf.Tensor, side: int) -> bytes:
    """Returns a picture as a JPEG file.

    Args:
      pixels: (height, width, 3), RGB, 0 to 255, any dtype.
      side: Longest side of the picture in pixels; the aspect is kept.
    """
    small = tf.image.resize(pixels, (side, side), preserve_aspect_ratio=True, antialias=True)
    return tf.io.encode_jpeg(tf.cast(tf.clip_by_value(small, 0, 255), tf.uint8), quality=_JPEG_QUALITY).numpy()
