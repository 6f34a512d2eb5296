"""Converts files that TensorFlow cannot read (TIFF, HEIC, AVIF, JPEG 2000, PPM) to PNG, once, with the extra `tl_keras[formats]`.

Pillow reads TIFF, AVIF (from 11.3 on), JPEG 2000 and PPM, pillow-heif reads HEIC. A converted file is kept in the cache under the
hash of the original and decoded like every PNG. The exported model takes the PNG but not the original. Directories are searched
by suffix; what is converted is decided by content.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import pathlib
import tempfile
from typing import TYPE_CHECKING, cast

from tl_keras.console import say
from tl_keras.data import file_kinds
from tl_keras.errors import DataError
from tl_keras.user_folders import cache_folder

if TYPE_CHECKING:
    from PIL import Image

REMEDY = "pip install 'tl_keras[formats]'"
# Modes that are kept: PNG has them, and 16 bits stay 16.
_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")
# To be raised when a file becomes another PNG than before, since what is in the cache is not made again.
_FORMAT = 2


class _NotConvertedError(DataError):
    """A whole file that is not converted, with words that complete "12 images are ..."."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


def _values_error(received: str, reason: str) -> _NotConvertedError:
    """Returns the error for values that no picture has."""
    return _NotConvertedError(
        f"image: expected whole numbers from 0 to 65,535. Received: {received}. Save them as 8 or 16 bits.",
        f"{reason}, which are to be saved as 8 or 16 bits first",
    )


def can_convert() -> bool:
    """Returns whether the packages of the extra are installed."""
    return all(importlib.util.find_spec(package) for package in ("PIL", "pillow_heif"))


def kind_of(contents: bytes) -> str:
    """Returns the kind of a file that is converted, by its content; empty for others."""
    kind = file_kinds.kind_of(contents)
    return kind if kind in file_kinds.CONVERTED_SUFFIXES else ""


def readable(contents: bytes, cache: str = "") -> bytes:
    """Returns the PNG of a file that is converted, from the cache or newly made; other and damaged files are unchanged.

    Args:
      contents: Contents of the file.
      cache: Directory of the cache; empty for the user's.
    """
    if not kind_of(contents):
        return contents
    made = cache_folder(cache) / "converted" / f"{hashlib.sha256(contents).hexdigest()}-{_FORMAT}.png"
    with contextlib.suppress(OSError):
        return made.read_bytes()
    try:
        png = to_png(contents)
    except DataError:
        return contents
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=made.parent, delete=False) as file:
            file.write(png)
        pathlib.Path(file.name).replace(made)
    except OSError as error:
        _say_once(f"cache: {made.parent} cannot be written ({error.strerror}); images are converted again each time")
    return png


_say_once = functools.cache(say)


def reason_not_to_convert(contents: bytes) -> str:
    """Returns words that complete "12 images are ..." for a whole file that is not converted; empty for a damaged one."""
    try:
        to_png(contents)
    except _NotConvertedError as error:
        return error.reason
    except DataError:
        pass
    return ""


def to_png(contents: bytes) -> bytes:
    """Converts a file of any type that Pillow or pillow-heif reads to an upright PNG of its first page or frame.

    Raises:
      DataError: The file cannot be read, or has other values than whole numbers from 0 to 65,535.
    """
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(contents)) as opened:
            return png_of(opened)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        most = 2 * cast(int, Image.MAX_IMAGE_PIXELS)
        raise _NotConvertedError(
            f"image: expected at most {most:,} pixels. Received: more. Save it smaller.",
            f"too large to convert, over {most:,} pixels",
        ) from error
    except Exception as error:  # each of Pillow's decoders raises errors of its own
        raise DataError(f"image: expected a file that Pillow reads. Received: a damaged one ({error}).") from error


def png_of(image: Image.Image) -> bytes:
    """Returns a Pillow image as an upright PNG.

    Raises:
      DataError: The image belongs to a file that cannot be read, or has other values than whole numbers from 0 to 65,535.
    """
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
        if image.mode not in _MODES:
            deep = image.mode[0] in "IF"
            image = _deep(image) if deep else image.convert("RGBA" if "transparency" in image.info else "RGB")
        png = io.BytesIO()
        image.save(png, "PNG", exif=b"", icc_profile=None)
    except DataError:
        raise
    except Exception as error:  # as in `to_png`, since Pillow decodes a file as late as here
        raise DataError(f"image: expected a file that Pillow reads. Received: a damaged one ({error}).") from error
    return png.getvalue()


def _deep(image: Image.Image) -> Image.Image:
    """Returns an image of numbers of any length and order of bytes in 16 bits.

    Raises:
      DataError: They are no whole numbers from 0 to 65,535.
    """
    if image.mode == "F":
        raise _values_error("decimal numbers", "of decimal numbers")
    whole = image.convert("I")  # straight to 16 bits, Pillow cuts those of the other order of bytes to 8
    lowest, highest = cast("tuple[int, int]", whole.getextrema())
    if lowest < 0 or highest > 65_535:
        raise _values_error(f"{lowest} to {highest}", "of values outside 0 to 65,535")
    return whole.convert("I;16")
