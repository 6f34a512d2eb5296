"""Says which images are not decoded, and why: too large, of a kind that is not read, or damaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.data.base import in_parallel
from tl_keras.data.decoding import decode_image
from tl_keras.data.image_header import ImageFileError, read_image_size
from tl_keras.serving.image_inputs import ImageInput, encoded_images


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The reason why an image is not decoded.

    Attributes:
      error: Line that says what was expected and received.
      reason: Words that complete "12 images are ..."; empty for a damaged file.
    """

    error: str
    reason: str


DAMAGED = Refusal("expected a whole image that can be read. Received: a damaged or unreadable file.", "")


def refusals(inputs: Sequence[ImageInput], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Refusal | None]:
    """Returns for each image why it is not decoded, or None if it is; each image is decoded once."""

    def look(index: tf.Tensor, contents: tf.Tensor) -> tuple[tf.Tensor, ...]:
        error, reason = header_error(contents, max_pixels)
        side = tf.cond(error == b"", lambda: tf.reduce_max(tf.shape(decode_image(contents))), lambda: 0)
        return index, error, reason, side

    found: list[Refusal | None] = [DAMAGED] * len(inputs)  # images that raise an error are skipped below
    looked_at = in_parallel(encoded_images(inputs).enumerate(), look).ignore_errors()
    for index, error, reason, _ in looked_at.as_numpy_iterator():
        found[int(index)] = Refusal(error.decode(), reason.decode()) if error else None
    return found


def header_error(contents: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns error and reason of a `Refusal` by the header of a file, both string (), and empty if it may be decoded."""

    def header_error(file: bytes) -> tuple[bytes, bytes]:
        try:
            read_image_size(file, max_pixels=max_pixels)
        except ImageFileError as error:
            return str(error).removeprefix("image: ").encode(), error.reason.encode()
        return b"", b""

    error, reason = tf.numpy_function(header_error, [contents], (tf.string, tf.string), stateful=False)
    return tf.ensure_shape(error, ()), tf.ensure_shape(reason, ())
