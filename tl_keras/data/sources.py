"""Opens what a user names as the source of images."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tl_keras.data.arrays import digits_source, npz_source
from tl_keras.data.base import Source
from tl_keras.data.csv_file import CsvSource
from tl_keras.data.folder import FolderSource
from tl_keras.data.tfds import TFDSSource
from tl_keras.data.tfrecord import TFRecordSource
from tl_keras.errors import DataError, nearest

__all__ = ["Source", "open_source"]

_READERS: dict[str, Callable[[str], Source]] = {
    "csv": CsvSource,
    "npz": npz_source,
    "tfds": TFDSSource,
    "tfrecord": TFRecordSource,
}


def open_source(name: str, *, data_dir: str = "") -> Source:
    """Lists the images of a source.

    Args:
      name: A directory (`DIR/CLASS/*` or `DIR/{train,val,test}/CLASS/*`), `csv:FILE`, `tfrecord:GLOB`,
        `tfds:NAME[/config]`, `npz:FILE`, or `digits` (scikit-learn's; a directory of that name is `./digits`).
      data_dir: Where prepared TFDS datasets lie; empty: TFDS's own default.

    Returns:
      The source; no image has been read yet.

    Raises:
      DataError: There is no such source, or its files do not fit its kind.
    """
    if name == "digits":
        return digits_source()
    kind, separator, rest = name.partition(":")
    if kind == "tfds" and separator:
        return TFDSSource(rest, data_dir=data_dir)
    if kind in _READERS and separator:
        return _READERS[kind](rest)
    # Two letters at least: C:\photos is a directory.
    if re.fullmatch("[a-z]{2,}", kind) and separator and not Path(name).exists():
        raise DataError(
            f"{name}: expected a directory, csv:FILE, tfrecord:GLOB, tfds:NAME, npz:FILE or digits. "
            f"Received the kind {kind}. {nearest(kind, _READERS)}"
        )
    return FolderSource(name)
