"""Decodes BMP files by TensorFlow operations: every depth, both orders of rows, palettes and colour masks.

TensorFlow's own reader takes 8, 24 and 32 bits, returns palette positions as colours, and knows no masks.
Microsoft's documentation of BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV5HEADER is the source of the offsets.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tl_keras.data.exif import unsigned_bytes

# Lengths of the first header, the oldest second header, the usual one, and the first with a mask of alpha.
_FILE_HEADER, _CORE_HEADER, _INFO_HEADER, _WITH_ALPHA = 14, 12, 40, 56
_UNCOMPRESSED, _MASKS, _ALPHA_MASKS = 0, 3, 6
# Masks of red, green, blue and alpha for a file without its own.
_MASKS_OF_16 = (0x7C00, 0x03E0, 0x001F, 0)
_MASKS_OF_32 = (0xFF0000, 0x00FF00, 0x0000FF, 0)


class _Header(NamedTuple):
    """Content of the headers: int32 scalars, except `masks`, int64 (4,), for red, green, blue and alpha, 0 for none."""

    start: tf.Tensor
    length: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    depth: tf.Tensor
    compression: tf.Tensor
    masks: tf.Tensor


def decode_bmp(file: tf.Tensor) -> tf.Tensor:
    """Returns the pixels of a BMP file.

    Args:
      file: String scalar, a file with 1, 4, 8, 16, 24 or 32 bits, not compressed.

    Returns:
      uint8 (height, width, 4), RGB and alpha, 0 to 255; alpha is 255 if the file has no mask for it.

    Raises:
      tf.errors.InvalidArgumentError: The file ends early, is compressed, or has another depth.
    """
    header = _read_header(file)
    width, height, depth = header.width, tf.abs(header.height), header.depth
    stride = (width * depth + 31) // 32 * 4
    # In float64, since a damaged header can claim more than an integer holds.
    claimed = tf.cast(width, tf.float64) * tf.cast(height, tf.float64) * tf.cast(depth, tf.float64) / 8
    room = tf.strings.length(file) - header.start
    is_read = (
        tf.reduce_any(depth == [1, 4, 8, 16, 24, 32])
        & tf.reduce_any(header.compression == [_UNCOMPRESSED, _MASKS, _ALPHA_MASKS])
        & (width > 0)
        & (height > 0)
        & (header.start > 0)
        & (claimed <= tf.cast(room, tf.float64))
    )
    with tf.control_dependencies([tf.debugging.Assert(is_read & (height * stride <= room), ["BMP: cannot be read"])]):
        stored = tf.io.decode_raw(tf.strings.substr(file, header.start, height * stride), tf.uint8)
    rows = tf.reshape(stored, (height, stride))
    rows = tf.cond(header.height > 0, lambda: rows[::-1], lambda: rows)
    pixels = tf.switch_case(
        tf.where(depth <= 8, 0, tf.where(depth == 24, 1, 2)),
        [
            lambda: _look_up(rows, _palette(file, header), depth, width),
            lambda: _opaque(tf.reshape(rows[:, : 3 * width], (height, width, 3))[..., ::-1]),
            lambda: _unmask(tf.reshape(rows[:, : width * depth // 8], (height, width, -1)), header.masks),
        ],
    )
    return tf.ensure_shape(pixels, (None, None, 4))


def _read_header(file: tf.Tensor) -> _Header:
    # From byte 10 on, every number begins at a multiple of four bytes or two bytes after one.
    numbers = tf.io.decode_raw(tf.strings.substr(file, 10, 60), tf.int32, fixed_length=60)
    start, length, width, height, depth, compression = tf.unstack(numbers[:6])
    is_core = length == _CORE_HEADER
    depth = tf.bitwise.right_shift(tf.where(is_core, height, depth), 16)
    height = tf.where(is_core, tf.bitwise.right_shift(width, 16), height)
    width = tf.where(is_core, tf.bitwise.bitwise_and(width, 0xFFFF), width)
    compression = tf.where(is_core, _UNCOMPRESSED, compression)

    own = tf.bitwise.bitwise_and(tf.cast(numbers[11:], tf.int64), 0xFFFFFFFF)
    own *= tf.cast(tf.stack([True, True, True, length >= _WITH_ALPHA]), tf.int64)
    usual = tf.where(depth == 16, tf.constant(_MASKS_OF_16, tf.int64), tf.constant(_MASKS_OF_32, tf.int64))
    masks = tf.where(compression == _UNCOMPRESSED, usual, own)
    return _Header(start, length, width, height, depth, compression, masks)


def _palette(file: tf.Tensor, header: _Header) -> tf.Tensor:
    """Returns the palette, uint8 (256, 3), RGB; black beyond the file's own entries."""
    entry = tf.where(header.length == _CORE_HEADER, 3, 4)
    has_masks_behind = (header.compression != _UNCOMPRESSED) & (header.length == _INFO_HEADER)
    start = _FILE_HEADER + header.length + tf.where(has_masks_behind, 12, 0)
    colours = tf.clip_by_value((header.start - start) // entry, 1, 256)
    blue_green_red = tf.reshape(unsigned_bytes(file, start, colours * entry), (-1, entry))[:, 2::-1]
    return tf.cast(tf.pad(blue_green_red, [[0, 256 - colours], [0, 0]]), tf.uint8)


def _look_up(rows: tf.Tensor, palette: tf.Tensor, depth: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(tf.cast(rows, tf.int32)[:, :, None], tf.range(8 - depth, -1, -depth))
    positions = tf.bitwise.bitwise_and(shifted, tf.bitwise.left_shift(1, depth) - 1)
    return _opaque(tf.gather(palette, tf.reshape(positions, (tf.shape(rows)[0], -1))[:, :width]))


def _opaque(pixels: tf.Tensor) -> tf.Tensor:
    return tf.pad(pixels, [[0, 0], [0, 0], [0, 1]], constant_values=255)


def _unmask(stored: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Returns uint8 (height, width, 4) from the bytes of each pixel, uint8 (height, width, 2 or 4)."""
    weights = tf.constant([1, 2**8, 2**16, 2**24], tf.int64)[: tf.shape(stored)[2]]
    numbers = tf.reduce_sum(tf.cast(stored, tf.int64) * weights, axis=2, keepdims=True)
    lowest = tf.maximum(tf.bitwise.bitwise_and(masks, -masks), 1)
    largest = tf.maximum(masks // lowest, 1)
    scaled = tf.bitwise.bitwise_and(numbers, masks) // lowest * 255 // largest
    return tf.cast(tf.where(masks == 0, tf.constant([0, 0, 0, 255], tf.int64), scaled), tf.uint8)
