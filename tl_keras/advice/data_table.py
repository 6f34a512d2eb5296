"""Writes images or texts with their labels as a table that training reads."""

from __future__ import annotations

import csv
import io
import os
import pathlib
import shlex
from collections.abc import Mapping

import numpy as np

from tl_keras.config import TransferConfig
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


def training_command(path: pathlib.Path | str, source: Source | None, config: TransferConfig, *more: str) -> str:
    """Returns the command that trains on a table, as a shell takes it; the table is read as its source was.

    Args:
      path: The table, whose columns of labels are those that `write_table` writes.
      source: The source of its images or texts; None for one class each in the column label.
      config: Config by which the source was read.
      *more: Further flags.
    """
    flags = [f"--data=csv:{path}"]
    if config.task != "auto":
        columns = source.labelling.columns(source.class_names) if source else ["label"]
        flags += [f"--task={config.task}", f"--columns=label={'+'.join(columns)}"]
    if config.data.class_order:
        flags.append(f"--class_order={config.data.class_order}")
    if config.model.significant_bits:
        flags.append(f"--significant_bits={config.model.significant_bits}")
    return shlex.join(["python", "-m", "tl_keras.train", *flags, *more])
