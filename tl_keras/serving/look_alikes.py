"""Answers which images of an index are most like a photo, with pictures of them for the page."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.data.base import as_readable
from tl_keras.data.decoding import decode_image, small_jpeg
from tl_keras.data.image_header import read_image_size
from tl_keras.errors import DataError
from tl_keras.search.index import read_index
from tl_keras.search.nearest import Nearest

# Longest side of a picture on the page, in pixels.
_SIDE = 160


class LookAlikes:
    """The images of an index, nearest first.

    Args:
      path: File that `embed` has written.

    Raises:
      DataError: There is no such file.
      DependencyError: A package for it is missing.
    """

    def __init__(self, path: pathlib.Path):
        self.index = read_index(path)
        self._nearest = Nearest(self.index.features, beside=path)
        source = pathlib.Path(self.index.about.get("source", ""))
        self._folder = source.resolve() if source.is_dir() else None

    def find(self, features: list[list[float]], *, count: int) -> list[list[dict[str, Any]]]:
        """Returns the nearest images for each vector, as JSON values: `name`, `cosine`, `height`, `width` and `row`.

        Args:
          features: Vectors by the network of the index.
          count: Number of images for each.
        """
        rows, cosines = self._nearest(np.array(features, np.float32), count)
        return [
            [
                {**image, "row": row}
                for image, row in zip(self.index.described(near, cosine), near.tolist(), strict=True)
            ]
            for near, cosine in zip(rows, cosines, strict=True)
        ]

    def picture(self, row: int) -> bytes:
        """Returns a small picture of an image of the index, a JPEG file.

        Raises:
          DataError: There is no such image, or its file is not where it was embedded.
        """
        path = self._path(row)
        if path is None or not path.is_file():
            raise DataError("similar: expected the image where it was when it was embedded. Received: none.")
        try:
            file = as_readable(tf.constant(path.read_bytes()))
            read_image_size(file.numpy(), max_pixels=DEFAULT_MAX_PIXELS)
            return small_jpeg(decode_image(file), _SIDE)
        except (OSError, tf.errors.OpError) as error:
            raise DataError("similar: expected an image that can be decoded. Received: a damaged one.") from error

    def _path(self, row: int) -> pathlib.Path | None:
        """Returns the place of an image, unless it is outside the folder that was embedded."""
        if self._folder is None or not 0 <= row < len(self.index.names):
            return None
        path = (self._folder / self.index.names[row]).resolve()
        return path if path.is_relative_to(self._folder) else None
