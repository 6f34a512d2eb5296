"""Reads images listed in a table: a CSV or Parquet file, or a pandas DataFrame."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from tl_keras.data.base import FileSource, Source, encode_classes
from tl_keras.data.class_names import is_missing
from tl_keras.data.csv_file import csv_holds_texts, read_csv
from tl_keras.data.image_table import list_table, names_texts
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.source_names import parse_source_name
from tl_keras.data.table import Table
from tl_keras.data.text_folder import read_text_folder
from tl_keras.errors import DataError, DependencyError


class TableSource(FileSource):
    """Images listed in a table with a column for paths, one for labels, and optionally one for splits.

    Args:
      table: The table.
      options: Names of its columns, and the folder of its images.

    Raises:
      DataError: `list_table` refuses the table.
    """

    def __init__(self, table: Table, options: SourceOptions):
        listing = list_table(table, options)
        read = (listing.names, np.array(listing.labels)) if listing.names else encode_classes(listing.labels)
        class_names, labels = read
        super().__init__(
            name=table.name,
            class_names=class_names,
            ids=listing.ids,
            labels=labels,
            declared_splits=np.array(listing.splits),
            groups=listing.groups,
            notes=listing.notes,
            paths=[os.fsencode(path) for path in listing.paths],
            cache_folder=options.cache_folder,
        )


def _source_of(table: Table, options: SourceOptions) -> Source:
    """Returns the images that a table lists, or the texts that it holds."""
    if names_texts(table.columns, options.column_names):
        from tl_keras.data.text_table import TextTableSource

        return TextTableSource(table, options)
    return TableSource(table, options)


def text_folder_source(path: str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Returns the texts in class folders; see `read_text_folder`."""
    from tl_keras.data.text_table import TextTableSource

    table, ids = read_text_folder(path, options.folder_meanings)
    return TextTableSource(table, options, ids=ids)


def csv_source(path: str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Returns the images that a CSV file lists; see `read_csv`."""
    return _source_of(read_csv(path, options.column_names), options)


def parquet_source(path: str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Returns the images that a Parquet file lists by path.

    Raises:
      DataError: It is not a Parquet file, or it holds the images themselves.
      DependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DependencyError(
            f"parquet:{path}: pyarrow is not installed. Run: pip install 'tl_keras[tables]'"
        ) from error
    try:
        schema = pyarrow.parquet.read_schema(path)
        if any(pyarrow.types.is_struct(field.type) or pyarrow.types.is_binary(field.type) for field in schema):
            raise DataError(
                f"parquet:{path}: expected paths of images. Received columns that hold the images themselves. Use hf:{path}."
            )
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"parquet:{path}: expected a Parquet file. Received another or a damaged one ({error})."
        ) from error
    columns = [[_as_cell(value) for value in column.to_pylist()] for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return _source_of(
        Table(f"parquet:{path}", table.column_names, rows, range(1, len(rows) + 1), os.path.dirname(path)), options
    )


def data_frame_source(frame: Any, options: SourceOptions = NO_OPTIONS) -> Source:
    """Returns the images that a pandas DataFrame lists; paths are relative to the working directory, or to `images_in`."""
    columns = [str(name) for name in frame.columns]
    rows = [[_as_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return _source_of(Table("DataFrame", columns, rows, range(1, len(rows) + 1), ""), options)


def noun_of(name: str, options: SourceOptions = NO_OPTIONS) -> str:
    """Returns what a named source holds, `image` or `text`, by no more than the header of a table."""
    kind, rest = parse_source_name(name)
    if kind == "txt":
        return "text"
    if kind == "csv":
        return "text" if csv_holds_texts(rest, options.column_names) else "image"
    if kind == "parquet" and os.path.isfile(rest):
        with contextlib.suppress(ImportError, OSError, ValueError):
            import pyarrow.parquet

            return "text" if names_texts(pyarrow.parquet.read_schema(rest).names, options.column_names) else "image"
    return "image"


def _as_cell(value: Any) -> str:
    if isinstance(value, (list, tuple, set, np.ndarray)):
        return ";".join(map(str, value))
    if is_missing(value):
        return ""
    return str(value).strip()
