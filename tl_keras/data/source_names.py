"""Parses the name of a source before anything is read; imports no TensorFlow."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from tl_keras.config import EXPECTED_SOURCE
from tl_keras.errors import DataError, DependencyError, TransferError, nearest

KINDS = ("csv", "hf", "npz", "parquet", "tfds", "tfrecord", "txt", "webdataset")
# Those whose rest is a pattern of files.
_PATTERNS = ("tfrecord", "webdataset")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
UNREAD_ARCHIVES = (".rar", ".7z", ".zst", ".gz", ".bz2", ".xz")

# Packages that read each scheme through fsspec.
_PACKAGES = {"gs": "gcsfs", "s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}


class SourceName(NamedTuple):
    """A source's name in its two parts.

    Attributes:
      kind: `folder`, `archive`, `remote`, `digits` or one of `KINDS`.
      rest: Path, pattern, address or name of a dataset.
    """

    kind: str
    rest: str


def parse_source_name(name: str | os.PathLike[str]) -> SourceName:
    """Returns the parts of a source's name, with `~` for the home directory replaced.

    Raises:
      DataError: There is no such kind of source.
      DependencyError: The package that reads an address is not installed.
    """
    name = os.fspath(name)
    if name == "digits":
        return SourceName("digits", "")
    kind, separator, rest = name.partition(":")
    if separator and rest.startswith("//"):
        return SourceName("remote", _require_scheme(name, kind.lower()))
    if separator and kind in KINDS:
        rest = os.path.expanduser(rest)
        if "://" in rest and kind != "tfrecord":
            raise DataError(
                f"{name}: expected a file on this machine after {kind}:. Received an address. Copy the file here."
            )
        return SourceName(kind, rest)
    path = os.path.expanduser(name)
    # At least two letters, because C:\photos is a directory.
    if re.fullmatch("[a-z]{2,}", kind) and separator and not os.path.exists(path):
        raise DataError(f"{name}: expected {EXPECTED_SOURCE}. Received the kind {kind}. {nearest(kind, KINDS)}".strip())
    if os.path.isfile(path) and path.lower().endswith(ARCHIVE_SUFFIXES):
        return SourceName("archive", path)
    return SourceName("folder", path)


def check_source(name: str | os.PathLike[str]) -> SourceName:
    """Returns the parts of a source's name, after checking that its directory or file exists.

    Raises:
      DataError: The directory or file is missing, or there is no such kind of source.
      DependencyError: The package that reads an address is not installed.
    """
    kind, rest = parsed = parse_source_name(name)
    if kind in ("csv", "npz", "parquet") and not os.path.isfile(rest):
        raise DataError(f"{kind}:{rest}: expected a {kind} file. Received a path without such a file. Check the path.")
    if kind in ("folder", "txt"):
        _require_directory(Path(rest))
    return parsed


def is_absent(name: str) -> bool:
    """Returns whether nothing exists at the place that a source's name gives."""
    try:
        kind, rest = parse_source_name(name)
    except TransferError:
        return True
    if kind in _PATTERNS:
        return not glob.glob(rest, recursive=True)
    return kind in ("remote", "tfds") or (kind != "digits" and not os.path.exists(rest))


def _require_scheme(name: str, scheme: str) -> str:
    if scheme not in _PACKAGES:
        raise DataError(
            f"{name}: expected one of {', '.join(f'{known}://' for known in _PACKAGES)}. Received {scheme}://. "
            "Copy the images to this machine and name their directory."
        )
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(_PACKAGES[scheme]) is None:
        raise DependencyError(
            f"{name}: {scheme}:// is read with {_PACKAGES[scheme]}, which is not installed. Run: pip install 'tl_keras[remote]'"
        )
    return name


def _require_directory(root: Path) -> None:
    # pathlib's own question raises an error for a name that is too long, or may not be asked for.
    if os.path.isdir(root):
        return
    if os.path.exists(root):
        kinds = {
            ".csv": "csv",
            ".tsv": "csv",
            ".txt": "csv",
            ".npz": "npz",
            ".tfrecord": "tfrecord",
            ".parquet": "parquet",
        }
        kind = kinds.get(root.suffix.lower())
        remedy = f"Use {kind}:{root}." if kind else "Name the directory above the class folders."
        if root.name.lower().endswith(UNREAD_ARCHIVES):
            remedy = "Unpack it, and name the directory."
        elif root.suffix.lower() in (".xlsx", ".xls", ".ods"):
            remedy = "Save the table as CSV, and use csv:FILE."
        raise DataError(f"{root}: expected a directory of class folders. Received a file. {remedy}")
    siblings = []
    with contextlib.suppress(OSError), os.scandir(root.parent) as entries:
        siblings = [entry.name for entry in entries if entry.is_dir()]
    raise DataError(
        f"{root}: expected {EXPECTED_SOURCE}. Received a path that does not exist. {nearest(root.name, siblings)}Check the path."
    )
