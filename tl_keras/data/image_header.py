"""Reads type, size and cost of an image from the structure of its file, before anything is decoded.

A small file can be a huge image, or take minutes to decode. All work here is bounded: a search through the file by
`bytes.find`, or a walk of limited length.
"""

from __future__ import annotations

import dataclasses
import re
import struct

from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.data import conversion
from tl_keras.data.file_kinds import CONVERTED_SUFFIXES, kind_of
from tl_keras.errors import DataError

# libjpeg's jpeg_simple_progression writes 10 scans for colours and 18 for inks, mozjpeg's jpeg_search_progression chooses among 64
# (jcparam.c of both); libjpeg-turbo's fuzzing stops at 100 (TJPARAM_SCANLIMIT in fuzz/decompress.cc, of 2026). Each scan costs a
# pass over all pixels, however short it is.
MAX_SCANS = 100
# Start-of-frame markers (ITU-T T.81, table B.1): C0 to CF except C4 (Huffman), C8 (reserved) and CC (arithmetic).
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length that decoders skip (T.81, B.1.1.3): TEM, and RST0 to RST7.
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}
# Bytes that are not markers between segments: a stuffed zero, a second start, an end. Decoders differ on what follows.
_JPEG_MISPLACED = {0x00, 0xD8, 0xD9}
_FILL_BYTES = re.compile(rb"\xff+")
# The next marker behind compressed data, in which FF is followed by a stuffed zero or begins a restart.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
# An ICC profile has at most 255 segments, and XMP can have as many; a walk of this length takes a millisecond.
_MAX_SEGMENTS = 5000
# GIF89a's first byte of a block. Writers fill every sub-block, which holds 255 bytes, except the last.
_GIF_EXTENSION, _GIF_FRAME, _GIF_END = 0x21, 0x2C, 0x3B
_MAX_GIF_BLOCKS = 10_000
_BMP_UNCOMPRESSED = (0, 3, 6)

_PNG = b"\x89PNG\r\n\x1a\n"
# Words that complete "12 images are ..." for files that are known and not read.
_REASONS = {
    **{kind: f"in {kind}, which is to be saved as PNG first" for kind in ("JPEG XL", "ICO", "Photoshop", "SVG", "PDF")},
    "HTML": "in HTML, a web page instead of the picture",
    "Git LFS": "in Git LFS, from which `git lfs pull` fetches the picture",
}


class ImageFileError(DataError):
    """An image file that is not decoded, with the reason.

    Attributes:
      reason: Words that complete "12 images are ..." and "1 image is ..."; empty for a damaged file.
    """

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class ImageSize:
    """The size and cost of decoding a file.

    Attributes:
      height: Height of the decoded image in pixels, as it is stored.
      width: Width of the decoded image in pixels, as it is stored.
      pixels: Height times width; for a GIF all frames together, since TensorFlow decodes all to return the first.
      scans: Number of passes over the pixels in decoding: the number of scans of a progressive JPEG, else 1.
    """

    height: int
    width: int
    pixels: int
    scans: int = 1


def read_image_size(file: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> ImageSize:
    """Returns the size of a JPEG, PNG, BMP, GIF or WebP file.

    Args:
      file: Content of the whole file.
      max_pixels: Largest allowed number of pixels.

    Raises:
      ImageFileError: The file has another type, is damaged, ends early, is too large or takes too long to decode.
    """
    try:
        size = _read_size(file)
    except (struct.error, IndexError) as error:
        raise ImageFileError("image: expected a whole file. Received: one that ends within its header.") from error
    if size.height * size.width == 0:
        raise ImageFileError(
            f"image: expected at least 1 pixel. Received: {size.width} x {size.height}. Send another image."
        )
    if size.pixels > max_pixels:
        raise ImageFileError(
            f"image: too large. Expected at most {max_pixels:,} pixels. Received: {size.width} x {size.height}, "
            f"{size.pixels:,} pixels in all. Send a smaller one, or raise --max_pixels.",
            f"too large, over {max_pixels:,} pixels (--max_pixels)",
        )
    if size.scans > MAX_SCANS:
        raise ImageFileError(
            f"image: expected at most {MAX_SCANS} scans in a progressive JPEG. Received: {size.scans:,}. Save it again.",
            f"in progressive JPEG of more than {MAX_SCANS} scans, which takes too long to decode",
        )
    return size


def reason_not_to_decode(file: bytes, *, max_pixels: int) -> str:
    """Returns words that complete "12 images are ...", or an empty string; damage is left to the decoder to find."""
    try:
        read_image_size(file, max_pixels=max_pixels)
    except ImageFileError as error:
        is_converted = conversion.kind_of(file) and conversion.can_convert()
        return error.reason or (conversion.reason_not_to_convert(file) if is_converted else "")
    return ""


def _read_size(file: bytes) -> ImageSize:
    if file.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(file)
    if file.startswith(_PNG):
        if file[8:16] != b"\x00\x00\x00\x0dIHDR":  # libpng takes others before it
            raise ImageFileError("image: expected a PNG file. Received: a damaged one.")
        width, height = struct.unpack_from(">II", file, 16)
        return ImageSize(height, width, height * width)
    if file.startswith(b"GIF8"):
        return _gif_size(file)
    if file.startswith(b"BM"):
        return _bmp_size(file)
    if file.startswith(b"RIFF") and file[8:12] == b"WEBP":
        return _webp_size(file)
    if not file:
        raise ImageFileError("image: expected a JPEG, PNG, BMP, GIF or WebP file. Received: an empty file.", "empty")
    if kind := kind_of(file):
        reason = _REASONS.get(kind, "")
        if (
            kind in CONVERTED_SUFFIXES and not conversion.can_convert()
        ):  # with it, what is whole has been converted before
            reason = f"in {kind}, which is read after {conversion.REMEDY}"
        raise ImageFileError(
            f"image: expected a JPEG, PNG, BMP, GIF or WebP file. Received: a file in {kind}. Convert it first.", reason
        )
    raise ImageFileError("image: expected a JPEG, PNG, BMP, GIF or WebP file. Received: another kind of file.")


def _jpeg_size(file: bytes) -> ImageSize:
    """Reads segment after segment up to the frame header, then counts scans up to the end."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        if not (fill := _FILL_BYTES.match(file, position)):
            break
        position = fill.end() - 1
        marker = file[position + 1]
        if marker in _JPEG_MISPLACED:
            break
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", file, position + 5)
            return ImageSize(height, width, height * width, _scans_from(file, position))
        position += 2 if marker in _JPEG_ALONE else 2 + struct.unpack_from(">H", file, position + 2)[0]
    raise ImageFileError("image: expected a JPEG file. Received: a damaged one.")


def _scans_from(file: bytes, position: int) -> int:
    """Returns the number of a JPEG's scans from its frame header to its end, behind which a phone may keep a film."""
    scans = 0
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.search(file, position)
        marker = found and file[found.end() - 1]
        if not found or (marker == _JPEG_END and not scans):
            raise ImageFileError(
                "image: expected a whole file. Received: a JPEG without an end. Copy or send it again."
            )
        if marker == _JPEG_END:
            return scans
        scans += marker == _JPEG_SCAN
        position = found.end()
        if marker not in _JPEG_ALONE | _JPEG_MISPLACED:
            position += struct.unpack_from(">H", file, position)[0]
    return scans + file.count(b"\xff\xda", position)  # far more than are decoded


def _gif_size(file: bytes) -> ImageSize:
    """Reads block after block, because the screen's size in the header bounds no frame."""
    frames: list[tuple[int, int, int, int]] = []
    position = 13 + _palette_bytes(file[10])
    blocks = _MAX_GIF_BLOCKS + len(file) // 200
    while (block := file[position]) != _GIF_END:
        if block == _GIF_EXTENSION:
            position += 2  # the block's introducer and its label
        elif block == _GIF_FRAME:
            frames.append(struct.unpack_from("<HHHH", file, position + 1))
            position += 11 + _palette_bytes(file[position + 9])  # includes the least size of a code
        else:
            raise ImageFileError("image: expected a GIF file. Received: a damaged one.")
        while length := file[position]:
            position += 1 + length
            blocks -= 1
        position += 1
        blocks -= 1
        if blocks < 0:
            raise ImageFileError("image: expected a GIF file. Received: one of too many blocks. Save it again.")
    left, top, width, height = frames[0]
    screen_width, screen_height = struct.unpack_from("<HH", file, 6)
    widest, highest = max(frame[2] for frame in frames), max(frame[3] for frame in frames)
    if (left, top) != (0, 0) or width < max(widest, screen_width) or height < max(highest, screen_height):
        raise ImageFileError(
            "image: expected a GIF whose first frame covers the image. Received: another. Save it as PNG.",
            "in GIF with a first frame that does not cover the image",
        )
    return ImageSize(height, width, sum(frame[2] * frame[3] for frame in frames))


def _palette_bytes(flags: int) -> int:
    """Returns the length of the palette that a header's flags declare: the highest bit if any, the lowest three its size."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _bmp_size(file: bytes) -> ImageSize:
    if struct.unpack_from("<I", file, 14)[0] == 12:  # OS/2
        width, height = struct.unpack_from("<HH", file, 18)
        return ImageSize(height, width, height * width)
    width, height = map(abs, struct.unpack_from("<ii", file, 18))  # a negative height means rows from the top
    if struct.unpack_from("<I", file, 30)[0] not in _BMP_UNCOMPRESSED:
        raise ImageFileError(
            "image: expected a BMP file that is not compressed. Received: a compressed one. Save it as PNG.",
            "in compressed BMP, which is to be saved as PNG first",
        )
    return ImageSize(height, width, height * width)


def _webp_size(file: bytes) -> ImageSize:
    """Reads RFC 9649: an extended file has its canvas in a header, other files the size of their only picture."""
    kind = file[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(file[at : at + 3], "little") for at in (24, 27))
        if file[20] & 2:
            raise ImageFileError(
                "image: expected a WebP file that is not animated. Received: an animated one. Save it as PNG.",
                "in animated WebP, which is to be saved as PNG first",
            )
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", file, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        sides = struct.unpack_from("<HH", file, 26)
        width, height = (side & 0x3FFF for side in sides)
    return ImageSize(height, width, height * width)
