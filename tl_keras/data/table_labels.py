"""Reads several labels or numbers per image from a table; imports no TensorFlow."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from tl_keras.config.choices import LabelKind
from tl_keras.console import number_of
from tl_keras.data.table import Table
from tl_keras.errors import DataError

# Ways of writing that an image has a label, that it has not, and that nobody knows; an empty cell is decided by its column.
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
_NOT_KNOWN = {"-1", "-1.0", "?", "nan", "na", "n/a", "unknown"}
_MARKS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "-1": -1, "-1.0": -1, "False": 0, "True": 1}
SEPARATORS = (";", "|", ",", " + ")
_UNKNOWN = -1
# Tuples and sets as Python writes them.
_TUPLE_OR_SET = re.compile(r"""[({]\s*['"].*[)}]|\(\)|set\(\)""", re.DOTALL)
# What stands between two names in a list of NumPy, which writes no commas: ['cat' 'dog'].
_BETWEEN_NAMES = re.compile(r"""(['"])\s+(?=['"])""")


@dataclasses.dataclass(frozen=True)
class TableLabels:
    """The labels of a table.

    Attributes:
      names: Names of the labels or of the columns of numbers.
      rows: For each image a number for each name: 1, 0 or -1, or what was measured.
      columns: Columns of the table that they come from.
      notes: Remarks for the user.
    """

    names: tuple[str, ...]
    rows: Sequence[Sequence[float]]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def read_labels(table: Table, columns: Sequence[str], kind: LabelKind, *, others: Iterable[str]) -> TableLabels:
    """Returns the labels of every image.

    Args:
      table: The table.
      columns: Columns of labels; if there are none, several labels are looked for in columns of 0 and 1.
      kind: `labels` or `numbers`.
      others: Columns that hold something else, such as the image.

    Raises:
      DataError: There is no such column, or a cell holds something else.
    """
    if kind == "numbers":
        return _numbers(table, columns, others)
    if len(columns) == 1 and not _is_marked(table.column(columns[0])):
        return _listed(table, columns[0])
    if columns:
        return _marked(table, columns)
    possible = [name for name in table.columns if name not in set(others)]
    columns = marked_columns(table, others)
    if not columns:
        raise DataError(
            f"{table.name}: expected a column labels, with the labels of an image separated by ';', or a column of 0 and 1 for "
            f"each label. Received {','.join(table.columns)}. Name the columns: --columns=label=COLUMN, or label=ONE+ANOTHER."
        )
    found = _marked(table, columns)
    passed_over = [said for name in possible if name not in columns and (said := _hardly_marked(table, name))]
    if not passed_over:
        return found
    note = f"columns that are not taken for labels: {'; '.join(passed_over)}; --columns=label=ONE+ANOTHER names the columns"
    return dataclasses.replace(found, notes=(*found.notes, note))


def marked_columns(table: Table, others: Iterable[str]) -> list[str]:
    """Returns the columns of 1, 0 and what is not known, but for `others`, which hold something else, such as the image."""
    return [name for name in table.columns if name not in set(others) and _is_marked(table.column(name))]


def label_columns(given: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    """Returns the names in `--columns=label=ONE+ANOTHER`; one that contains a plus is taken as it is if there is such a column."""
    named = given.get("label", "")
    if named in columns:
        return [named]
    names = [name.strip() for name in named.split("+") if name.strip()]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise DataError(
            f"columns: expected each column of labels once. Received: label={named}. Leave {repeated[0]} out where it is repeated."
        )
    return names


def _listed(table: Table, column: str) -> TableLabels:
    """Reads cells such as `cat;dog`; an empty cell is an image with none of the labels."""
    cells = table.column(column)
    # As pandas writes a column of lists.
    if any(cells) and all(cell[:1] in ("", "[") or _TUPLE_OR_SET.fullmatch(cell) for cell in cells):
        found, said = _written_as_lists(table, column), "written as lists"
    else:
        separator = _separator(cells)
        found = [[part.strip() for part in cell.split(separator)] if separator else [cell] for cell in cells]
        said = f"separated by {separator!r}" if separator else "one in each row at most"
    names = tuple(sorted({part for parts in found for part in parts if part}))
    if not names:
        raise DataError(
            f"{table.name}: expected labels in the column {column}. Received none in {number_of(len(cells), 'row')}. Fill it "
            "in, or name another: --columns=label=COLUMN."
        )
    if {len(parts) for parts in found} != {1} and all(part in _MARKS for parts in found for part in parts):
        return _in_cells(table, column, found)
    rows = [[int(name in parts) for name in names] for parts in map(set, found)]
    return TableLabels(names, rows, (column,), (f"labels from the column {column}, {said}: {', '.join(names[:20])}",))


def _written_as_lists(table: Table, column: str) -> list[list[str]]:
    """Reads cells such as `['cat', 'dog']`, tuples, sets, or `['cat' 'dog']` as NumPy writes it; an empty cell is an empty list.

    A name in brackets alone, `('cat')`, is one label.

    Raises:
      DataError: A cell is none of these.
    """
    found = []
    for line, cell in zip(table.lines, table.column(column), strict=True):
        try:
            parts = ast.literal_eval(_BETWEEN_NAMES.sub(r"\1, ", cell)) if cell else []
        except (SyntaxError, ValueError):
            parts = None
        if not isinstance(parts, (list, tuple, set, str)):
            raise DataError(
                f"{table.name} line {line}: expected a list such as ['cat', 'dog'] in the column {column}, as in other lines. "
                f"Received: {cell:.80}. Separate the labels by ';' instead."
            )
        found.append([str(part).strip() for part in ([parts] if isinstance(parts, str) else parts)])
    return found


def _in_cells(table: Table, column: str, found: Sequence[Sequence[str]]) -> TableLabels:
    """Reads cells such as `1;0;1`, which have a mark for each label."""
    counts = {len(parts) for parts in found}
    if len(counts) > 1:
        raise DataError(
            f"{table.name}: expected as many of 1 and 0 in each cell of the column {column}. Received "
            f"{' and '.join(map(str, sorted(counts)[:2]))}. Correct them, or name the labels of an image."
        )
    names = tuple(map(str, range(counts.pop())))
    rows = [[_MARKS[part] for part in parts] for parts in found]
    return TableLabels(names, rows, (column,), (f"labels from the column {column}, a 1 or 0 for each of {len(names)}",))


def _separator(cells: Sequence[str]) -> str:
    """Returns what separates the labels in a cell; a space only if its words come in more combinations than there are words."""
    for separator in SEPARATORS:
        if any(separator in cell for cell in cells):
            return separator
    several = {frozenset(cell.split()) for cell in cells}
    words = frozenset().union(*several)
    return " " if any(" " in cell for cell in cells) and len(several) > len(words) else ""


def _marked(table: Table, columns: Sequence[str]) -> TableLabels:
    """Reads columns of 0 and 1; what is neither is not known, and so is an empty cell in a column that has a 0."""
    table.require_unique(columns)
    marks = []
    for name in columns:
        cells = [cell.lower() for cell in table.column(name)]
        empty = _UNKNOWN if set(cells) & _NO else 0
        if odd := next((cell for cell in cells if cell and cell not in _YES | _NO | _NOT_KNOWN), ""):
            line = table.lines[cells.index(odd)]
            raise DataError(
                f"{table.name} line {line}: expected 1, 0, or ? for not known, in the column {name}. Received: {odd}. Correct the "
                "cell, or name the columns of labels: --columns=label=ONE+ANOTHER."
            )
        marks.append([_mark(cell) if cell else empty for cell in cells])
    note = f"labels from the columns {', '.join(columns)}"
    return TableLabels(tuple(columns), [list(row) for row in zip(*marks, strict=True)], tuple(columns), (note,))


def _mark(cell: str) -> int:
    return 1 if cell in _YES else 0 if cell in _NO else _UNKNOWN


def _is_marked(cells: Sequence[str]) -> bool:
    values = {cell.lower() for cell in cells} - {""}
    return values <= _YES | _NO | _NOT_KNOWN and bool(values & _YES)


def _hardly_marked(table: Table, column: str) -> str:
    """Returns why a column is no label, if most of its cells say that it is one; otherwise an empty text."""
    cells = [cell.lower() for cell in table.column(column)]
    filled = [cell for cell in cells if cell]
    odd = [cell for cell in filled if cell not in _YES | _NO | _NOT_KNOWN]
    if not filled or 2 * len(odd) >= len(filled):
        return ""
    if not odd:
        return f"{column} (no image has it)"
    return f"{column} (line {table.lines[cells.index(odd[0])]}: {odd[0]:.40})"


def _numbers(table: Table, columns: Sequence[str], others: Iterable[str]) -> TableLabels:
    if not columns:
        unused = [name for name in table.columns if name not in set(others)]
        possible = [name for name in unused if all(_number(cell) is not None for cell in table.column(name))]
        numeric = f", of which these are numbers: {', '.join(possible)}" if possible else ""
        raise DataError(
            f"{table.name}: expected a column of numbers called label or target. Received {','.join(table.columns)}{numeric}. "
            f"Name it, or several: --columns=label={possible[0] if possible else 'COLUMN'}, or label=ONE+ANOTHER."
        )
    read = []
    for name in columns:
        _require_decimal_commas(table, name)
        values = [_number(cell) for cell in table.column(name)]
        if none := [position for position, value in enumerate(values) if value is None]:
            line, cell = table.lines[none[0]], table.column(name)[none[0]] or "an empty cell"
            others = f", and no number in {number_of(len(none) - 1, 'other row')}" if none[1:] else ""
            raise DataError(
                f"{table.name} line {line}: expected a number in the column {name}, without its unit. Received: {cell}{others}. "
                f"Correct or remove the row{'s' if others else ''}."
            )
        read.append(values)
    note = f"numbers from the column{'s' * (len(columns) > 1)} {', '.join(columns)}"
    return TableLabels(tuple(columns), [list(row) for row in zip(*read, strict=True)], tuple(columns), (note,))


def _require_decimal_commas(table: Table, column: str) -> None:
    """Raises a DataError if commas in a column may separate thousands, as in 1,340, and nothing tells that they do not."""
    cells = table.column(column)
    with_comma = [cell for cell in cells if "," in cell]
    in_threes = all(re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", cell) for cell in with_comma)
    if with_comma and (in_threes or any("." in cell for cell in cells)):
        raise DataError(
            f"{table.name} line {table.lines[cells.index(with_comma[0])]}: expected numbers of one meaning in the column {column}. "
            f"Received: {with_comma[0]}, whose comma may separate thousands or decimals. Write numbers as 1340, or as 1.34."
        )


def _number(cell: str) -> float | None:
    """Returns the number in a cell, which may have a decimal comma, or None."""
    if not re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", cell, re.IGNORECASE):
        return None
    value = float(cell.replace(",", "."))
    return value if math.isfinite(value) else None
