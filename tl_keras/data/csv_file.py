"""Reads CSV files as people write them, with any usual separator and encoding; imports no TensorFlow."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tl_keras.console import number_of
from tl_keras.data.file_kinds import kind_of
from tl_keras.data.image_files import is_image
from tl_keras.data.image_table import NAMES, names_texts, plain_name
from tl_keras.data.table import Table
from tl_keras.data.text_encoding import decode_as_western, marked_encoding, unmarked_utf_16
from tl_keras.errors import DataError

# The library's own limit, 131,072 characters, is shorter than some texts.
csv.field_size_limit(2**31 - 1)

_START = 2**16  # bytes in which the header is
_SEPARATORS = ",;\t|"
# What to do with files of other kinds.
_REMEDIES = {
    "zip": "Save the sheet as CSV where it is a workbook (.xlsx, .ods); unpack it where it is an archive.",
    "Excel": "Save the sheet as CSV.",
    "gzip": "Unpack it.",
    "Parquet": "Use parquet:FILE.",
    "HTML": "It is a web page: download the table itself.",
    "Git LFS": "Fetch the table with `git lfs pull`.",
    "PDF": "Save the table as CSV.",
}


def read_csv(path: str, given: Mapping[str, str] | None = None) -> Table:
    """Reads a CSV file whose first row is a header, or an existing file: then the columns are path, label, split.

    Args:
      path: Path of the file.
      given: Names of columns that the user gave; they help to find the separator.

    Raises:
      DataError: The file cannot be decoded, a quote is not closed, or a row has too many cells.
    """
    name, file = f"csv:{path}", Path(path)
    text, encoding, notes = _decode(name, file.read_bytes())
    separator, skip = _separator(text, given or {})
    written = text.splitlines(keepends=True)
    if comments := sum(line.startswith("#") for line in written[:skip]):
        notes = (*notes, f"comments before the header, left out: {number_of(comments, 'line')}")
    rows, lines = [], []
    for line, cells in _read_rows(name, "".join(["\n"] * skip + written[skip:]), separator, given or {}):
        if any(cells):
            rows.append(cells)
            lines.append(line)
    columns = rows[0] if rows else []
    if len(columns) > 1 and not _is_header(columns, given) and _names_image(columns[0], file.parent):
        columns = ["path", "label", "split"][: max(2, min(3, max(map(len, rows))))]
    else:
        rows, lines = rows[1:], lines[1:]
    if columns and not rows:
        raise DataError(f"{name}: expected one row per image. Received the header only. Add rows path,label.")
    for line, cells in zip(lines, rows, strict=True):
        if any(cells[len(columns) :]):
            raise DataError(
                f"{name} line {line}: expected {len(columns)} cells, as in the header. Received {len(cells)}: "
                f"{separator.join(cells)}. Put a cell that holds {separator!r} into quotes."
            )
    rows = [[*cells, *[""] * len(columns)][: len(columns)] for cells in rows]
    return Table(name, columns, rows, lines, os.path.dirname(path), encoding, notes)


def csv_holds_texts(path: str, given: Mapping[str, str]) -> bool:
    """Returns whether a CSV file is a table of texts, by its first lines; see `names_texts`."""
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
        if len(start) == _START and b"\0" not in start:  # the last character of UTF-8 may be cut
            start = start.rpartition(b"\n")[0] or start
        text = _decode(f"csv:{path}", start)[0]
        _, skip = _separator(text, given)
        header = next(iter(text.splitlines()[skip:]), "")
    except (OSError, DataError, csv.Error):
        return False  # whoever reads the whole file says what is wrong
    return names_texts(_cells(header, given)[1], given)


def _decode(name: str, raw: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Returns the text, its encoding, and a remark if the encoding had to be guessed."""
    encoding = marked_encoding(raw)
    if not encoding and (kind := kind_of(raw)) in _REMEDIES:
        raise DataError(f"{name}: expected a text file. Received a file of the kind {kind}. {_REMEDIES[kind]}")
    if not encoding and b"\0" in raw:
        encoding = _utf_16_of(name, raw)
    try:
        text = raw.decode(encoding or "utf-8")
        return text, "utf-8" if encoding in ("", "utf-8-sig") else encoding, ()
    except UnicodeDecodeError as error:
        if encoding:
            raise DataError(
                f"{name}: expected text. Received a file that begins as {encoding} and is not ({error.reason} at byte "
                f"{error.start}). Save it as UTF-8."
            ) from error
        line = raw.count(b"\n", 0, error.start) + 1
    text, encoding = decode_as_western(raw)
    return (
        text,
        encoding,
        (
            f"not UTF-8 (line {line}): read as {encoding}, the encoding of Western Windows; save it as UTF-8 if names look wrong",
        ),
    )


def _utf_16_of(name: str, raw: bytes) -> str:
    """Returns the order of the bytes of a UTF-16 file without a mark; see `unmarked_utf_16`.

    Raises:
      DataError: The file is not in UTF-16.
    """
    if encoding := unmarked_utf_16(raw):
        return encoding
    raise DataError(
        f"{name} line {raw.count(10, 0, raw.index(0)) + 1}: expected text. Received a NUL byte, as in a damaged or binary file. "
        "Save the table as CSV in UTF-8."
    )


def _separator(text: str, given: Mapping[str, str]) -> tuple[str, int]:
    """Returns the separator of cells, and the number of lines before the header: comments, and Excel's `sep=;`."""
    lines = text.splitlines()
    skip = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    first = lines[skip].strip() if lines else ""
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], skip + 1
    if skip and _is_header(_cells(lines[0], given)[1], given):  # a header that is written as a comment
        skip, first = 0, lines[0]
    return _cells(first, given)[0], skip


def _cells(line: str, given: Mapping[str, str]) -> tuple[str, list[str]]:
    """Returns the separator of a line's cells, spaces where there is no other, and the cells."""
    cells = {
        separator: next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        for separator in (*_SEPARATORS, " ")
    }
    known = [separator for separator in cells if _is_header(cells[separator], given)]
    several = [separator for separator in cells if len(cells[separator]) > 1]
    separator = (known or several or [","])[0]
    return separator, cells[separator]


def _names_image(cell: str, folder: Path) -> bool:
    return is_image(cell) or os.path.isfile(folder / cell)  # which takes any cell


def _is_header(cells: list[str], given: Mapping[str, str] | None = None) -> bool:
    """Returns whether cells name one column for the image or the text, and one for the label."""
    if names_texts(cells, given or {}):
        return True
    names = {plain_name(cell) for cell in cells}
    wanted = {what: {plain_name((given or {}).get(what, ""))} - {""} or set(NAMES[what]) for what in ("image", "label")}
    return all(names & known for known in wanted.values())


def _read_rows(name: str, text: str, separator: str, given: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the stripped cells of every row; those of a table of texts may go over several lines."""
    behind_spaces = separator == " " or (' "' in text and _are_cells_quoted_behind_spaces(text, separator))
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=behind_spaces, strict=True)
    line, of_texts, of_images = 1, False, False
    while True:
        try:
            cells = next(table, None)
        except csv.Error as error:
            raise DataError(
                f"{name} line {line}: expected a row of cells. Received one that cannot be read ({error}). "
                "Look for a quote that is not closed."
            ) from error
        if cells is None:
            return
        of_texts = of_texts or names_texts(cells, given)
        of_images = of_images or _is_header(cells, given)
        if not of_texts and any("\n" in cell or "\r" in cell for cell in cells):
            texts = "; where it is a text to be classified, name its column: --columns=text=COLUMN,label=COLUMN"
            raise DataError(
                f"{name} line {line}: expected every row in one line. Received a quote that opens there and closes in line "
                f"{table.line_num}. Close it, or remove the line breaks inside cells{'' if of_images else texts}."
            )
        yield line, [cell.strip() for cell in cells]
        line = table.line_num + 1


def _are_cells_quoted_behind_spaces(text: str, separator: str) -> bool:
    """Returns whether each quote behind a space quotes a cell, as in `a.jpg, "cat"`, and none is of a text: `pos, "Great" fun`."""
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True):
            pass
    except csv.Error:
        return False
    return True
