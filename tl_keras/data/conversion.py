"""Files that TensorFlow does not read, converted once to PNG: TIFF, HEIC, AVIF and JPEG 2000, by the extra `tl_keras[formats]`.

Pillow reads TIFF, AVIF (from 11.3 on) and JPEG 2000, pillow-heif HEIC. A converted file lies in the cache, found by the
content of the original, and is decoded as every PNG is: the exported model takes it, the original it does not.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING

from tl_keras.errors import DataError, DependencyError

if TYPE_CHECKING:
    from PIL import Image

CONVERTED_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".j2k")
REMEDY = "pip install 'tl_keras[formats]'"
# Kept as they are: a PNG has them, and 16 bits stay 16.
_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")


def is_converted(name: str) -> bool:
    """Returns whether a file of this name is converted before it is read."""
    return name.lower().endswith(CONVERTED_SUFFIXES)


def can_convert() -> bool:
    """Returns whether the packages of the extra are here."""
    return all(importlib.util.find_spec(package) for package in ("PIL", "pillow_heif"))


def converted_file(path: str) -> str:
    """Returns where the PNG of a file lies, made where it is not there yet; the path itself for a file that needs none.

    Raises:
      DependencyError: The packages of the extra are missing.
    """
    if not is_converted(path):
        return path
    if not can_convert():
        raise DependencyError(f"{path}: expected the packages that read it. Run: {REMEDY}")
    contents = pathlib.Path(path).read_bytes()
    made = _folder() / f"{hashlib.sha256(contents).hexdigest()}.png"
    if not made.is_file():
        try:
            png = to_png(contents)
        except DataError:
            return path  # named with the damaged ones by whoever decodes it
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=made.parent, delete=False) as file:
            file.write(png)
        pathlib.Path(file.name).replace(made)
    return str(made)


def readable_path(path: str) -> str:
    """Returns what `converted_file` gives, or the path itself where the packages of the extra are missing."""
    return converted_file(path) if can_convert() else path


def to_png(contents: bytes) -> bytes:
    """Returns a file of any kind that Pillow or pillow-heif reads as an upright PNG: its first page or frame.

    Raises:
      DataError: It cannot be read.
    """
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(contents)) as opened:
            return png_of(opened)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"image: expected a file that Pillow reads. Received: a damaged one ({error}).") from error


def png_of(image: Image.Image) -> bytes:
    """Returns a Pillow image as an upright PNG.

    Raises:
      DataError: It belongs to a file that cannot be read.
    """
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
        if image.mode not in _MODES:
            deep = image.mode.startswith("I")
            image = image.convert("I;16" if deep else "RGBA" if "transparency" in image.info else "RGB")
        png = io.BytesIO()
        image.save(png, "PNG", exif=b"", icc_profile=None)
    except OSError as error:
        raise DataError(f"image: expected a file that Pillow reads. Received: a damaged one ({error}).") from error
    return png.getvalue()


def _folder() -> pathlib.Path:
    """Returns where converted files lie, beside what frozen layers compute."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache, "tl_keras", "converted")
