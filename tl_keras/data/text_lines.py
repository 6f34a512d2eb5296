"""Reads texts: one of a source, or those of a file without labels, a text per line or a column of a table."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from tl_keras.console import say
from tl_keras.data.csv_file import read_csv
from tl_keras.data.image_table import choose_columns
from tl_keras.data.text_encoding import decode_text
from tl_keras.errors import DataError
from tl_keras.user_folders import expanded

if TYPE_CHECKING:
    from tl_keras.data.base import Source

_LINES = (".txt", ".text")


def text_of(source: Source, index: int) -> str:
    """Returns a text of a source of texts; what is not UTF-8 becomes a replacement character."""
    return source.encoded_image(index).decode("utf-8", "replace")


def read_texts(path: str | os.PathLike[str]) -> list[str]:
    """Returns the texts of a file in order, without empty lines of a text file.

    Args:
      path: A .txt file, preferably in UTF-8, with a text per line, or a CSV file with a column of texts, as `csv:FILE` has it.

    Raises:
      DataError: The file cannot be read, or has no text.
    """
    name = str(expanded(str(path).removeprefix("csv:")))
    try:
        if pathlib.Path(name).suffix.lower() in _LINES:
            content, read_as = decode_text(pathlib.Path(name).read_bytes())
            notes = [f"not UTF-8, read as {read_as}; save it as UTF-8 if words look wrong"] if read_as else []
            texts = [line for line in content.split("\n") if line.strip()]
        else:
            table = read_csv(name)
            chosen, _ = choose_columns(table, {}, needed=("text",))
            texts, notes = table.column(chosen["text"]), list(table.notes)
    except OSError as error:
        raise DataError(f"texts: expected a file that can be read. Received: {name} ({error.strerror}).") from error
    for note in notes:
        say(f"{name}: {note}")
    if not texts:
        raise DataError(f"texts: expected a text per line of {name}. Received: none.")
    return texts
