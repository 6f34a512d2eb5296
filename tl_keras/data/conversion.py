"""Converts files that TensorFlow cannot read (TIFF, HEIC, AVIF, JPEG 2000) to PNG, once, with the extra `tl_keras[formats]`.

Pillow reads TIFF, AVIF (from 11.3 on) and JPEG 2000, pillow-heif reads HEIC. A converted file is kept in the cache under the
hash of the original and decoded like every PNG. The exported model takes the PNG but not the original.
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
# Modes that are kept: PNG has them, and 16 bits stay 16.
_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")


def is_converted(name: str) -> bool:
    """Returns whether a file of this name is converted before it is read."""
    return name.lower().endswith(CONVERTED_SUFFIXES)


def can_convert() -> bool:
    """Returns whether the packages of the extra are installed."""
    return all(importlib.util.find_spec(package) for package in ("PIL", "pillow_heif"))


def converted_file(path: str) -> str:
    """Returns the path of a file's PNG, after making it if needed, or the path itself for a file that needs none.

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
            return path  # whoever decodes it reports it as damaged
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=made.parent, delete=False) as file:
            file.write(png)
        pathlib.Path(file.name).replace(made)
    return str(made)


def readable_path(path: str) -> str:
    """Returns the path from `converted_file`, or the path itself if the packages of the extra are missing."""
    return converted_file(path) if can_convert() else path


def to_png(contents: bytes) -> bytes:
    """Converts a file of any type that Pillow or pillow-heif reads to an upright PNG of its first page or frame.

    Raises:
      DataError: The file cannot be read.
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
      DataError: The image belongs to a file that cannot be read.
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
    """Returns the directory of converted files, beside the cached features."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache, "tl_keras", "converted")
