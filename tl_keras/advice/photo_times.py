"""Finds photos of one moment by what cameras write into files: when, and with which camera."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

import numpy as np
import PIL.Image

# Tags of EXIF 2.3 (CIPA DC-008): the directory of what the camera did, and in it the time; maker, model, and time of the file.
_CAMERA_DIRECTORY, _TAKEN = 0x8769, 0x9003
_MAKER, _MODEL, _WRITTEN = 0x010F, 0x0110, 0x0132

# Seconds without a photo after which another moment begins: a burst, somebody who walks around an object, a visit.
_GAPS = (10, 60, 600)

# Part of the images that must tell their time.
_MOST = 0.5


def photos_of_one_moment(paths: Sequence[str | bytes | os.PathLike[str]]) -> list[np.ndarray]:
    """Returns the moment of each photo, int64 (n,), the shortest moments first; nothing if most files do not tell their time.

    Args:
      paths: Paths of the files.
    """
    told = [(row, *each) for row, path in enumerate(paths) if (each := _when_and_with(path))]
    if len(told) < _MOST * len(paths):
        return []
    known, seconds = np.array([row for row, _, _ in told]), np.array([second for _, second, _ in told])
    camera = np.unique([name for _, _, name in told], return_inverse=True)[1]
    order = np.lexsort((seconds, camera))
    found = []
    for gap in _GAPS:
        begins = (np.diff(camera[order], prepend=-1) != 0) | (np.diff(seconds[order], prepend=-np.inf) > gap)
        moment = np.arange(len(paths)) + len(paths)  # a file without a time is alone
        moment[known[order]] = np.cumsum(begins)
        found.append(np.unique(moment, return_inverse=True)[1])
    return found


def _when_and_with(path: str | bytes | os.PathLike[str]) -> tuple[float, str] | None:
    """Returns the time of a photo in seconds, and its camera; None if the file does not tell the time."""
    try:
        with PIL.Image.open(os.fsdecode(path)) as image:
            exif = image.getexif()
        written = exif.get_ifd(_CAMERA_DIRECTORY).get(_TAKEN) or exif.get(_WRITTEN)
        taken = datetime.datetime.strptime(str(written).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except (
        OSError,
        ValueError,
        SyntaxError,
        PIL.Image.DecompressionBombError,
    ):  # what Pillow raises of damaged headers
        return None
    return (taken - datetime.datetime(1970, 1, 1)).total_seconds(), f"{exif.get(_MAKER)} {exif.get(_MODEL)}"
