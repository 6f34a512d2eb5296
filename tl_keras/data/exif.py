"""Reads and applies a camera's EXIF orientation by TensorFlow operations, so that an exported model does so too.

By CIPA DC-008 (EXIF 2.3), a JPEG has the block in an APP1 segment among its first, a PNG in a chunk eXIf before its pixels
(a chunk after them is ignored), a WebP in a chunk EXIF. The block is a TIFF header; tag 274 of its first directory
says which of the eight ways the camera was held.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

# Function from the height and width of an image, int32 (2,), to the position (row, column) and the size (height, width) of a part,
# both int32 (2,).
Window = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# Weights of a number's bytes, in little-endian and in big-endian order.
LITTLE_ENDIAN = (1, 2**8, 2**16, 2**24)
_BIG_ENDIAN = LITTLE_ENDIAN[::-1]

# The tag of the orientation, and the TIFF types SHORT and LONG (TIFF 6.0, section 2).
_ORIENTATION, _SHORT, _LONG = 274, 3, 4
_BLOCK_BYTES = 2**16
# Number of segments or chunks that are searched for the block, a bound on the cost of a hostile file. Cameras put it first.
_MAX_STEPS = 64

# Rows for a JPEG's segment, a PNG's chunk and a WebP's chunk. Of the first ten bytes of each: weights of the bytes of its length,
# the number of bytes that the length does not count, the position where a block begins, and the bytes that identify one.
_LENGTH = ((0, 0, 256, 1, 0, 0, 0, 0, 0, 0), (*_BIG_ENDIAN, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, *LITTLE_ENDIAN, 0, 0))
_UNCOUNTED, _CONTENT, _FIRST = (2, 12, 8), (10, 8, 8), (2, 8, 12)
_TOLD = (b"\xff\xe1\0\0Exif\0\0", b"\0\0\0\0eXIf\0\0", b"EXIF\0\0\0\0\0\0")
_TELLS = ((1, 1, 0, 0, 1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 1, 1, 1, 1, 0, 0), (1, 1, 1, 1, 0, 0, 0, 0, 0, 0))
_JPEG, _PNG, _WEBP = range(3)


def orientation_of(file: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a file, string scalar: int32 scalar, 1 (upright) to 8.

    A file that is not JPEG, PNG or WebP, is damaged or declares no orientation counts as upright.
    """
    return _reader()(file)


def turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns an image, uint8 (height, width, 3), turned upright from its stored form by its orientation, int32 scalar."""
    is_transposed, flipped = _as_flips(orientation)
    pixels = tf.cond(is_transposed, lambda: _exchange_rows_and_columns(pixels), lambda: pixels)
    turned = tf.raw_ops.Reverse(tensor=pixels, dims=tf.concat([flipped, [False]], 0))
    return tf.ensure_shape(turned, (None, None, 3))


def _exchange_rows_and_columns(pixels: tf.Tensor) -> tf.Tensor:
    """Returns an image, uint8 (height, width, 3), as (width, height, 3).

    A transpose does not do: on processors without AVX-512 TensorFlow reports, as an error, that oneDNN has none of 8-bit numbers;
    and of wider ones it makes one of 8 bits where they were cast.
    """
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    columns = tf.range(width)[:, None] + tf.range(height)[None, :] * width
    return tf.gather(tf.reshape(pixels, (-1, 3)), columns)


def stored_window(window: Window | None, orientation: tf.Tensor) -> Window | None:
    """Returns the part of the stored image that corresponds to a part, `window`, of the upright image."""
    if window is None:
        return None
    is_transposed, flipped = _as_flips(orientation)

    def swapped(pair: tf.Tensor) -> tf.Tensor:
        return tf.where(is_transposed, pair[::-1], pair)

    def stored(shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        upright = swapped(shape)
        start, size = window(upright)
        return swapped(tf.where(flipped, upright - start - size, start)), swapped(size)

    return stored


def unsigned_bytes(file: tf.Tensor, position: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
    """Returns bytes of a file as int32 (length,); 0 after its end."""
    inside = tf.clip_by_value(position, 0, tf.strings.length(file))
    return tf.cast(tf.io.decode_raw(tf.strings.substr(file, inside, length), tf.uint8, fixed_length=length), tf.int32)


def _as_flips(orientation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns whether rows and columns are exchanged first, bool (), and which of the two is mirrored afterwards, bool (2,)."""
    rows = tf.reduce_any(orientation == [3, 4, 7, 8])
    columns = tf.reduce_any(orientation == [2, 3, 6, 7])
    return orientation >= 5, tf.stack([rows, columns])


@functools.cache
def _reader() -> tf.types.experimental.PolymorphicFunction:
    """Returns `orientation_of` as a function traced once, however many graphs call it."""

    def orientation(file: tf.Tensor) -> tf.Tensor:
        first = unsigned_bytes(file, 0, 1)[0]
        kind = tf.argmax(tf.stack([first == 0xFF, first == 0x89, first == ord("R")]), output_type=tf.int32)
        position, is_there = _find_block(file, kind)
        return tf.cond(
            is_there, lambda: _in_tiff(tf.strings.substr(file, position, _BLOCK_BYTES)), lambda: tf.constant(1)
        )

    return tf.function(orientation, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def _find_block(file: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the position of a file's TIFF block, int32 (), and whether there is one."""
    size = tf.strings.length(file)
    weights, uncounted, tells = (tf.gather(column, kind) for column in (_LENGTH, _UNCOUNTED, _TELLS))
    told = tf.gather([list(name) for name in _TOLD], kind)

    def tells_block(header: tf.Tensor) -> tf.Tensor:
        return tf.reduce_all(header * tells == told)

    def goes_on(position: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
        # A JPEG has application segments and comments before its picture, a PNG chunks other than IDAT.
        is_application = (header[0] == 0xFF) & (tf.bitwise.bitwise_and(header[1], 0xF0) == 0xE0) | (header[1] == 0xFE)
        before_picture = tf.stack([is_application, tf.reduce_any(header[4:8] != list(b"IDAT")), True])
        return (position < size) & ~tells_block(header) & tf.gather(before_picture, kind)

    def following(position: tf.Tensor, header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = tf.reduce_sum(header * weights)
        step = length + uncounted + tf.where(kind == _WEBP, length % 2, 0)
        # A length beyond the end of the file, negative if it overflows, ends the search.
        position = tf.where((step > 0) & (step < size - position), position + step, size)
        return position, unsigned_bytes(file, position, 10)

    start = tf.gather(_FIRST, kind)
    position, header = tf.while_loop(
        goes_on,
        following,
        (start, unsigned_bytes(file, start, 10)),
        maximum_iterations=_MAX_STEPS,
        parallel_iterations=1,
    )
    # Some writers of WebP keep the bytes that precede the block in a JPEG.
    is_prefixed = (kind == _WEBP) & tf.reduce_all(unsigned_bytes(file, position + 8, 4) == list(b"Exif"))
    content = position + tf.gather(_CONTENT, kind) + tf.where(is_prefixed, 6, 0)
    return tf.minimum(content, size), tells_block(header)


def _in_tiff(block: tf.Tensor) -> tf.Tensor:
    head = unsigned_bytes(block, 0, 8)
    weights = tf.where(head[0] == ord("I"), LITTLE_ENDIAN, _BIG_ENDIAN)
    weights_of_short = tf.where(head[0] == ord("I"), LITTLE_ENDIAN[:2], _BIG_ENDIAN[2:])

    directory = tf.reduce_sum(head[4:] * weights)
    count = tf.reduce_sum(unsigned_bytes(block, directory, 2) * weights_of_short)
    count = tf.clip_by_value(count, 1, 1 + tf.strings.length(block) // 12)
    entries = tf.reshape(unsigned_bytes(block, directory + 2, 12 * count), (-1, 12))
    tag, kind, short = (tf.reduce_sum(entries[:, at : at + 2] * weights_of_short, 1) for at in (0, 2, 8))
    value = tf.where(kind == _LONG, tf.reduce_sum(entries[:, 8:] * weights, 1), short)
    is_orientation = (tag == _ORIENTATION) & ((kind == _SHORT) | (kind == _LONG))
    orientation = tf.concat([[1], tf.boolean_mask(value, is_orientation)], 0)[-1]
    return tf.where((orientation >= 1) & (orientation <= 8), orientation, 1)
