"""Tells the facts of an image by TensorFlow operations: what cannot be decoded, its shape, kind and orientation."""

from __future__ import annotations

import functools

import tensorflow as tf

from tl_keras.data.decoding import decode_image, kind_of
from tl_keras.data.exif import orientation_of, unsigned_bytes
from tl_keras.data.image_header import reason_not_to_decode
from tl_keras.data.inspection_memory import NO_FILE

# Step of the rows and columns that are compared first.
_STRIDE = 16


def facts_of_pixels(pixels: tf.Tensor, background: str) -> tuple[tf.Tensor, ...]:
    """Returns what the function of `facts_of_file` returns, for an image that is no file, uint8 (height, width, channels)."""
    seen = _seen(decode_image(pixels, background=background))
    return tf.constant(b""), *seen, tf.constant(NO_FILE), tf.constant(1), tf.constant(0)


@functools.cache
def facts_of_file(background: str, max_pixels: int) -> tf.types.experimental.PolymorphicFunction:
    """Returns a function of a file, string scalar, compiled once however many sources are read; each pipeline would take a second.

    It returns why the file is not decoded, in words, or an empty string; its shape, int32 (3,); whether it has one colour only;
    the position of its kind among `FILE_KINDS`; its EXIF orientation; and the largest value of a 16-bit PNG file, or 0. Several
    threads may call it. A damaged file raises a `tf.errors.OpError`.

    Args:
      background: Background as in `tl_keras.data.decoding.decode_image`.
      max_pixels: Largest number of pixels of an image; of a larger one the reason is told.
    """

    def reason(file: bytes) -> bytes:
        return reason_not_to_decode(file, max_pixels=max_pixels).encode()

    def look(file: tf.Tensor) -> tuple[tf.Tensor, ...]:
        reason_not_to = tf.ensure_shape(tf.numpy_function(reason, [file], tf.string, stateful=False), ())

        def decoded() -> tuple[tf.Tensor, ...]:
            seen = _seen(decode_image(file, background=background))
            return *seen, kind_of(file), orientation_of(file), _largest_deep_value(file)

        def passed_over() -> tuple[tf.Tensor, ...]:
            return tf.zeros(3, tf.int32), tf.constant(False), tf.constant(NO_FILE), tf.constant(1), tf.constant(0)

        return reason_not_to, *tf.cond(reason_not_to == b"", decoded, passed_over)

    facts = tf.function(look, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    with tf.device("CPU:0"):
        facts(tf.constant(b""))  # else each thread compiles it
    return facts


def _seen(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the shape of an image, and whether it has one colour only, which a few of its pixels nearly always refute."""
    some = pixels[::_STRIDE, ::_STRIDE]
    is_likely = tf.reduce_all(some == pixels[0, 0])
    return tf.shape(pixels), tf.cond(
        is_likely, lambda: tf.reduce_all(pixels == pixels[0, 0]), lambda: tf.constant(False)
    )


def _largest_deep_value(file: tf.Tensor) -> tf.Tensor:
    """Returns the largest value of a 16-bit PNG file, int32 (); 0 for another file."""
    is_deep = (tf.strings.substr(file, 0, 4) == b"\x89PNG") & (unsigned_bytes(file, 24, 1)[0] == 16)

    def largest() -> tf.Tensor:
        return tf.cast(tf.reduce_max(tf.io.decode_png(file, channels=3, dtype=tf.uint16)), tf.int32)

    return tf.cond(is_deep, largest, lambda: tf.constant(0))
