"""The size of an image from the structure of its file, before anything is decoded: a small file can be a huge image."""

from __future__ import annotations

import dataclasses
import struct

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.errors import DataError

# Start-of-frame markers (ITU-T T.81, table B.1): C0 to CF but for C4 (Huffman), C8 (reserved) and CC (arithmetic).
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length that decoders skip (T.81, B.1.1.3): TEM, and RST0 to RST7.
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}
# Not markers between segments: a stuffed zero, a second start, an end. Decoders differ on what follows.
_JPEG_MISPLACED = {0x00, 0xD8, 0xD9}
# GIF89a, the first byte of a block.
_GIF_EXTENSION, _GIF_FRAME, _GIF_END = 0x21, 0x2C, 0x3B


@dataclasses.dataclass(frozen=True)
class ImageSize:
    """What decoding a file writes.

    Attributes:
      height: Of the decoded image, in pixels.
      width: Of the decoded image, in pixels.
      pixels: Height times width; of a GIF all frames together, since TensorFlow decodes all to give the first.
    """

    height: int
    width: int
    pixels: int


def read_image_size(file: bytes) -> ImageSize:
    """Returns the size of a JPEG, PNG, BMP or GIF file.

    Raises:
      DataError: It is none of them, is damaged, or ends before its size is known.
    """
    try:
        if file.startswith(b"GIF8"):
            return _gif_size(file)
        if file.startswith(b"\xff\xd8\xff"):
            height, width = _jpeg_size(file)
        elif file.startswith(b"\x89PNG\r\n\x1a\n"):
            if file[8:16] != b"\x00\x00\x00\x0dIHDR":  # libpng takes others before it
                raise DataError("image: expected a PNG file. Received: a damaged one.")
            width, height = struct.unpack_from(">II", file, 16)
        elif file.startswith(b"BM"):
            width, height = map(abs, struct.unpack_from("<ii", file, 18))  # a negative height: rows from the top
        else:
            raise DataError("image: expected a JPEG, PNG, BMP or GIF file. Received: another kind of file.")
    except (struct.error, IndexError) as error:
        raise DataError("image: expected a whole file. Received: one that ends within its header.") from error
    return ImageSize(height, width, height * width)


def resized_pixels(preprocess: PreprocessSpec, size: ImageSize) -> int:
    """Returns the pixels of the largest image while one is resized for the network: of a narrow one far more than its own.

    TensorFlow resizes one axis, then the other, so an image between has an old side and a new one: each side counts as
    the longer of both, which bounds the image before, between and after.

    Args:
      preprocess: Of the model.
      size: Of the image; neither side is 0.
    """
    sides = size.height, size.width
    if preprocess.rule == "short_side":
        scale = round(preprocess.image_size / preprocess.crop_fraction) / min(sides)
        height, width = (max(side, round(side * scale)) for side in sides)
    else:
        height, width = (max(side, preprocess.image_size) for side in sides)
    return height * width


def _jpeg_size(file: bytes) -> tuple[int, int]:
    """Walks from segment to segment up to the frame header."""
    position = 2
    while True:
        marker = file[position + 1]
        if file[position] != 0xFF or marker in _JPEG_MISPLACED:
            raise DataError("image: expected a JPEG file. Received: a damaged one.")
        if marker in _JPEG_FRAMES:
            return struct.unpack_from(">HH", file, position + 5)
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _JPEG_ALONE:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", file, position + 2)[0]


def _gif_size(file: bytes) -> ImageSize:
    """Walks from block to block: the screen's size, in the header, bounds no frame."""
    height = width = pixels = 0
    position = 13 + _palette_bytes(file[10])
    while (block := file[position]) != _GIF_END:
        if block == _GIF_EXTENSION:
            position += 2  # and its label
        elif block == _GIF_FRAME:
            frame_width, frame_height = struct.unpack_from("<HH", file, position + 5)
            height, width = max(height, frame_height), max(width, frame_width)
            pixels += frame_height * frame_width
            position += 11 + _palette_bytes(file[position + 9])  # and the least size of a code
        else:
            raise DataError("image: expected a GIF file. Received: a damaged one.")
        while length := file[position]:
            position += 1 + length
        position += 1
    return ImageSize(height, width, max(pixels, height * width))


def _palette_bytes(flags: int) -> int:
    """Returns the length of the palette that a header's flags announce: the highest bit whether, the lowest three its size."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
