"""Holds a table of images as it was read; imports no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from tl_keras.errors import DataError


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with its original cells.

    Attributes:
      name: Name of the source.
      columns: Names of the columns, as written.
      rows: Cells of each row, as many as there are columns.
      lines: Line number of each row in the file, or its number from 1.
      folder: Folder that paths are relative to.
      encoding: Encoding of the file.
      notes: Remarks made while reading.
    """

    name: str
    columns: list[str]
    rows: list[list[str]]
    lines: Sequence[int]
    folder: str
    encoding: str = "utf-8"
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """Returns the cells of a column."""
        position = self.columns.index(name)
        return [row[position] for row in self.rows]

    def require_unique(self, columns: Iterable[str]) -> None:
        """Raises a DataError if one of some names belongs to several columns, of which `column` would return the first."""
        for name in columns:
            if self.columns.count(name) > 1:
                raise DataError(
                    f"{self.name}: expected each column once. Received {name} {self.columns.count(name)} times. Rename or "
                    "remove one."
                )
