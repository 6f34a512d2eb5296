"""Images listed in a CSV file of path, label and, where wanted, split."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np

from tl_keras.data.base import FileSource, encode_classes, parse_split
from tl_keras.errors import DataError


class CsvSource(FileSource):
    """A CSV file with the header `path,label[,split]`, in any order and beside other columns.

    The header may be missing where the first row names an existing file; then the columns are in that order. Paths
    are relative to the CSV file.

    Args:
      path: The CSV file.

    Raises:
      DataError: The file is missing or lacks a column, a row is incomplete, or an image is missing or listed twice.
    """

    def __init__(self, path: str):
        file = Path(path)
        if not file.is_file():
            raise DataError(f"csv:{path}: expected a CSV file. Received a path without one. Check the path.")
        rows = _read_rows(file)
        ids = [row[0] for row in rows]
        _require_images(file, ids)
        class_names, labels = encode_classes([row[1] for row in rows])
        super().__init__(
            name=f"csv:{path}",
            class_names=class_names,
            ids=ids,
            labels=labels,
            declared_splits=np.array([row[2] for row in rows]),
            paths=[os.fsencode(file.parent / image_id) for image_id in ids],
        )


def _read_rows(file: Path) -> list[tuple[str, str, str]]:
    """Returns (path, label, split or empty) of every row."""
    # utf-8-sig: spreadsheets begin a file with a byte order mark.
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        table = csv.reader(lines)
        first = [cell.strip() for cell in next(table, [])]
        columns = {name.lower(): position for position, name in enumerate(first)}
        rows = []
        if not {"path", "label"} <= columns.keys():
            if len(first) < 2 or not (file.parent / first[0]).is_file():
                raise DataError(
                    f"csv:{file}: expected the header path,label[,split]. Received {','.join(first) or 'an empty file'}. "
                    "Add the header, or name an existing image in the first row."
                )
            columns = {"path": 0, "label": 1, "split": 2}
            rows.append(_parse_row(first, columns, where=f"csv:{file} line 1"))
        for cells in table:
            if cells:
                rows.append(_parse_row(cells, columns, where=f"csv:{file} line {table.line_num}"))
    if not rows:
        raise DataError(f"csv:{file}: expected one row an image. Received the header only. Add rows path,label.")
    return rows


def _parse_row(cells: list[str], columns: dict[str, int], *, where: str) -> tuple[str, str, str]:
    path, label, split = (
        cells[columns[name]].strip() if columns.get(name, len(cells)) < len(cells) else ""
        for name in ("path", "label", "split")
    )
    if not path or not label:
        raise DataError(
            f"{where}: expected a path and a label. Received: {','.join(cells)}. Complete or remove the row."
        )
    return path, label, parse_split(split, where=where)


def _require_images(file: Path, ids: list[str]) -> None:
    missing = [image_id for image_id in ids if not (file.parent / image_id).is_file()]
    if missing:
        raise DataError(
            f"csv:{file}: expected every path to be a file, relative to {file.parent}. Received {len(missing)} of "
            f"{len(ids)} that are none, the first is {missing[0]}. Correct the paths or remove the rows."
        )
    image_id, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise DataError(f"csv:{file}: expected every path once. Received {image_id} {count} times. Keep one row of it.")
