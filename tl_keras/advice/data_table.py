"""Writes images with their labels as a table that training reads."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from tl_keras.data.base import FileSource
from tl_keras.files import replacing


def write_table(source: FileSource, path: pathlib.Path, indices: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Writes images as a CSV file that `--data=csv:PATH` reads; paths are relative to it.

    Args:
      source: The images.
      path: File to write.
      indices: Images to write, int64 (k,), in this order.
      columns: More columns by their name, each str (n,), of all images of the source.

    Raises:
      WorkdirError: The place is not writable.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", *source.labelling.columns(source.class_names), *columns])
    for index in indices.tolist():
        place = os.path.relpath(source.path(index), path.parent or ".")
        cells = source.labelling.cells(source.labels[index], source.class_names)
        rows.writerow([place, *cells, *(column[index] for column in columns.values())])
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")
