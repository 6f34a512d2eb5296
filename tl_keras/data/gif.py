"""Decodes GIF files by TensorFlow operations: the first frame, with transparent pixels in the background's colour.

TensorFlow's reader makes transparent pixels black. Since transparency is one colour of a palette, the palette is changed in
the file before it is decoded.
"""

from __future__ import annotations

import tensorflow as tf

from tl_keras.data.exif import unsigned_bytes

# Lengths and markers of GIF89a: header and screen descriptor, an extension, the label of the graphic control one, a frame.
_HEADER, _EXTENSION, _CONTROL, _FRAME = 13, 0x21, 0xF9, 0x2C
# Number of blocks searched for the first frame, a bound on the cost of a hostile file. XMP, the longest usual block, has hundreds.
_MAX_BLOCKS = 4096


def decode_gif(file: tf.Tensor, background: tuple[int, int, int]) -> tf.Tensor:
    """Returns the first frame of a GIF file.

    Args:
      file: String scalar.
      background: Colour of transparent pixels, RGB, 0 to 255.

    Returns:
      uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
      tf.errors.InvalidArgumentError: The file is damaged, or its first frame does not cover the image.
    """
    control, frame = _first_frame(file)
    descriptor = unsigned_bytes(file, frame, 10)
    screen = unsigned_bytes(file, 0, _HEADER)
    with tf.control_dependencies(
        [tf.debugging.Assert(descriptor[0] == _FRAME, ["GIF: no frame where one is expected"])]
    ):
        has_own_palette = descriptor[9] & 0x80 > 0
    palette = tf.where(has_own_palette, frame + 10, _HEADER)
    flags, index = unsigned_bytes(file, control + 3, 1)[0], unsigned_bytes(file, control + 6, 1)[0]
    is_transparent = (control > 0) & (flags & 1 > 0)

    def with_background() -> tf.Tensor:
        opaque = _replaced(file, palette + 3 * index, tf.constant(bytes(background)))
        return _replaced(opaque, control + 3, tf.gather([bytes([value]) for value in range(256)], flags & 0xFE))

    pixels = tf.io.decode_image(
        tf.cond(is_transparent, with_background, lambda: file), channels=3, expand_animations=False
    )
    pixels = tf.ensure_shape(pixels, (None, None, 3))
    width, height = (descriptor[place] + 256 * descriptor[place + 1] for place in (5, 7))
    seen_width, seen_height = (screen[place] + 256 * screen[place + 1] for place in (6, 8))
    covers = (
        tf.reduce_all(descriptor[1:5] == 0)
        & (width >= seen_width)
        & (height >= seen_height)
        & tf.reduce_all(tf.shape(pixels)[:2] == tf.stack([height, width]))
    )
    with tf.control_dependencies([tf.debugging.Assert(covers, ["GIF: its first frame does not cover the image"])]):
        return tf.identity(pixels)


def _first_frame(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns positions, int32: of the last graphic control extension before the first frame (0: none), and of the frame."""
    flags = unsigned_bytes(file, 10, 1)[0]
    size = tf.strings.length(file)

    def goes_on(position: tf.Tensor, control: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
        return (position < size) & (inside | (unsigned_bytes(file, position, 1)[0] == _EXTENSION))

    def following(position: tf.Tensor, control: tf.Tensor, inside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        header = unsigned_bytes(file, position, 2)
        control = tf.where(~inside & (header[1] == _CONTROL), position, control)
        # Skips an extension and its label, or a block, which begins with its length; a length of 0 marks the last.
        return position + tf.where(inside, 1 + header[0], 2), control, ~inside | (header[0] > 0)

    palette = tf.where(tf.bitwise.bitwise_and(flags, 0x80) > 0, 3 * tf.bitwise.left_shift(2, flags & 7), 0)
    start = (_HEADER + palette, tf.constant(0), tf.constant(False))
    frame, control, _ = tf.while_loop(goes_on, following, start, maximum_iterations=_MAX_BLOCKS, parallel_iterations=1)
    return control, frame


def _replaced(file: tf.Tensor, position: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Returns a file with other bytes at a position, or unchanged if they would lie after its end."""
    length, size = tf.strings.length(new), tf.strings.length(file)
    inside = tf.minimum(position, size - length)
    end = tf.strings.substr(file, inside + length, size)
    changed = tf.strings.join([tf.strings.substr(file, 0, inside), new, end])
    return tf.where(inside == position, changed, file)
