"""The size of an image from the first bytes of its file, before anything is decoded: a small file can be a huge image."""

from __future__ import annotations

import struct

from tl_keras.errors import DataError

# Start-of-frame markers (ITU-T T.81, table B.1): C0 to CF but for C4 (Huffman), C8 (reserved) and CC (arithmetic).
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_image_size(file: bytes) -> tuple[int, int]:
    """Returns height and width in pixels, as the header of a JPEG, PNG, BMP or GIF file has them.

    Raises:
      DataError: It is none of them, or ends within its header.
    """
    try:
        if file.startswith(b"\xff\xd8\xff"):
            height, width = _jpeg_size(file)
        elif file.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", file, 16)
        elif file.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", file, 6)
        elif file.startswith(b"BM"):
            width, height = map(abs, struct.unpack_from("<ii", file, 18))  # a negative height: rows from the top
        else:
            raise DataError("image: expected a JPEG, PNG, BMP or GIF file. Received: another kind of file.")
    except (struct.error, IndexError) as error:
        raise DataError("image: expected a whole file. Received: one that ends within its header.") from error
    return height, width


def _jpeg_size(file: bytes) -> tuple[int, int]:
    """Walks from segment to segment up to the frame header."""
    position = 2
    while True:
        marker = file[position + 1]
        if file[position] != 0xFF:
            raise DataError("image: expected a JPEG file. Received: a damaged one.")
        if marker in _JPEG_FRAMES:
            return struct.unpack_from(">HH", file, position + 5)
        if marker == 0xFF:  # a fill byte
            position += 1
        else:
            position += 2 + struct.unpack_from(">H", file, position + 2)[0]
