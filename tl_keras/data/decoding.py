"""Turns an encoded image, or pixels, into RGB, in the same way in training, evaluation and the exported model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

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


# Kinds of files, and how those begin that are told by it; any other file is decoded as WebP, or refused there.
FILE_KINDS = ("JPEG", "PNG", "BMP", "GIF", "WebP")
_BEGINNINGS = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG", "BMP": b"BM", "GIF": b"GIF8"}


@dataclasses.dataclass(frozen=True)
class KnownFile:
    """A file, string scalar, of which it is known what it can be.

    Asking in the graph costs a tenth of reading, decoding and resizing a JPEG, since TensorFlow continues in another thread; and a
    pipeline whose graph can decode every kind takes 0.2 s longer to start (2 cores).

    Attributes:
      contents: The encoded file.
      kinds: The kinds that it can have, of `FILE_KINDS`.
      is_upright: Whether it is also known to have the ordinary orientation.
    """

    contents: tf.Tensor
    kinds: frozenset[str]
    is_upright: bool = False


def decode_image(
    image: tf.Tensor | KnownFile,
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
    if not isinstance(image, KnownFile):
        if image.dtype != tf.string:
            return _part(_to_rgb(image, background), window)
        image = KnownFile(image, frozenset(FILE_KINDS))
    file, others = image.contents, image.kinds - {"JPEG"}

    def decode_as_jpeg() -> tf.Tensor:
        return _decode_stored_jpeg(file, window) if image.is_upright else _decode_jpeg(file, window)

    def decode_as_other() -> tf.Tensor:
        return _part(_other_decoder(background, significant_bits, others, image.is_upright)(file), window)

    if not others:
        return decode_as_jpeg()
    if others == image.kinds:
        return decode_as_other()
    return tf.cond(tf.io.is_jpeg(file), decode_as_jpeg, decode_as_other)


def kind_of(file: tf.Tensor) -> tf.Tensor:
    """Returns the position of a file's kind among `FILE_KINDS`, int32 scalar; of a file of another kind the last."""
    return _kind_among(file, FILE_KINDS)


def _kind_among(file: tf.Tensor, kinds: tuple[str, ...]) -> tf.Tensor:
    """Returns the position of a file's kind among some of `FILE_KINDS`, in their order; the last if it is none of the others."""
    first = unsigned_bytes(file, 0, 4)
    beginnings = [_BEGINNINGS[kind] for kind in kinds[:-1]]
    matches = [tf.reduce_all(first[: len(beginning)] == list(beginning)) for beginning in beginnings]
    return tf.argmax(tf.stack([*matches, True]), output_type=tf.int32)


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
def _other_decoder(
    background: str, significant_bits: int, others: frozenset[str], is_upright: bool
) -> tf.types.experimental.PolymorphicFunction:
    """Returns the decoder of files of some kinds other than JPEG, traced once however many graphs call it."""
    decoders: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
        "PNG": lambda file: _decode_png(file, significant_bits),
        "BMP": decode_bmp,
        "GIF": lambda file: decode_gif(file, BACKGROUNDS[background]),
        "WebP": _decode_webp,
    }
    kinds = tuple(kind for kind in FILE_KINDS if kind in others)

    def decode(file: tf.Tensor) -> tf.Tensor:
        branches = [functools.partial(decoders[kind], file) for kind in kinds]
        pixels = tf.switch_case(_kind_among(file, kinds), branches) if len(kinds) > 1 else branches[0]()
        rgb = _to_rgb(pixels, background)
        if is_upright:
            return rgb
        orientation = orientation_of(file)
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
      side: Longest side of the picture in pixels; the aspect is kept, as far as a side of one pixel allows.
    """
    # By hand, because `preserve_aspect_ratio` makes of 9,000 x 20 pixels a side of none.
    height, width = pixels.shape[:2]
    target = [max(1, round(length * side / max(height, width))) for length in (height, width)]
    small = tf.image.resize(pixels, target, antialias=True)
    return tf.io.encode_jpeg(tf.cast(tf.clip_by_value(small, 0, 255), tf.uint8), quality=_JPEG_QUALITY).numpy()
