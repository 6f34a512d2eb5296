"""Writes images or texts with their labels as a table that training reads."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from tl_keras.data.base import FileSource
from tl_keras.data.sources import Source
from tl_keras.data.text_lines import text_of
from tl_keras.files import replacing


def can_be_written(source: Source) -> bool:
    """Returns whether a table can hold the images, because they are files, or the texts themselves."""
    return isinstance(source, FileSource) or source.noun == "text"


def write_table(
    source: Source, path: pathlib.Path, indices: np.ndarray, columns: Mapping[str, np.ndarray], *, option: str
) -> None:
    """Writes images or texts as a CSV file that `--data=csv:PATH` reads; paths of images are relative to it.

    Args:
      source: The images, which are files, or the texts.
      path: File to write.
      indices: Images to write, int64 (k,), in this order.
      columns: More columns by their name, each str (n,), of all images of the source.
      option: Option that chose the file.

    Raises:
      WorkdirError: The place is not writable.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["path" if isinstance(source, FileSource) else "text", *source.labelling.columns(source.class_names), *columns]
    )
    for index in indices.tolist():
        if isinstance(source, FileSource):
            shown = os.path.relpath(source.path(index), path.parent or ".")
        else:
            shown = text_of(source, index)
        cells = source.labelling.cells(source.labels[index], source.class_names)
        rows.writerow([shown, *cells, *(column[index] for column in columns.values())])
    with replacing(path, option=option) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")
