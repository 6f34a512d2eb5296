"""Reads labels that a table spreads over columns of 0 and 1, one column per class; imports no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from tl_keras.console import number_of
from tl_keras.data.table import Table
from tl_keras.data.table_labels import marked_columns
from tl_keras.errors import DataError

# The name of the column that replaces them, and the ways of writing a cell.
LABEL = "label"
_YES, _NO = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}


def with_label_column(table: Table, others: Collection[str]) -> tuple[Table, list[str]]:
    """Returns the table with a column of labels made of its columns of 0 and 1, if it has several, and a note.

    Args:
      table: Table without a column of labels.
      others: Columns that hold something else, such as the image.

    Raises:
      DataError: A row has no 1, or several: then an image has several labels; cells say that something is not known; or two
        of these columns have one name.
    """
    names = [name for name in table.columns if name not in set(others) and _is_yes_or_no(table.column(name))]
    if len(names) < 2:
        if len(marked := marked_columns(table, others)) > 1:
            raise DataError(
                f"{table.name}: expected one label per image. Received the columns {', '.join(marked)} of 0, 1 and what is not "
                "known. To learn which of them an image has, use --task=multi_label; otherwise name the column of classes: "
                "--columns=label=COLUMN."
            )
        return table, []
    table.require_unique(names)
    columns = [[cell.lower() in _YES for cell in table.column(name)] for name in names]
    labels = []
    for line, row in zip(table.lines, zip(*columns, strict=True), strict=True):
        found = [name for name, is_set in zip(names, row, strict=True) if is_set]
        if len(found) > 1:
            raise DataError(
                f"{table.name} line {line}: expected one label per image. Received {' and '.join(found)}, in columns of 0 and 1. "
                "To learn several labels of an image, use --task=multi_label; otherwise keep one 1 in each row."
            )
        labels.append(found[0] if found else "")
    if "" in labels:
        raise DataError(
            f"{table.name} line {table.lines[labels.index('')]}: expected a 1 in one of the columns {', '.join(names)}. "
            f"Received none, in {number_of(labels.count(''), 'row')}. Add a column for what is none of these, remove the rows, "
            "or use --task=multi_label, where an image may have none."
        )
    kept = [position for position, name in enumerate(table.columns) if name not in names]
    rows = [[*(row[position] for position in kept), label] for row, label in zip(table.rows, labels, strict=True)]
    made = dataclasses.replace(table, columns=[*(table.columns[position] for position in kept), LABEL], rows=rows)
    return made, [f"labels from the columns {', '.join(names)}, of which one is 1 in each row"]


def _is_yes_or_no(cells: Iterable[str]) -> bool:
    values = {cell.lower() for cell in cells}
    return values <= _YES | _NO and bool(values & _YES)
