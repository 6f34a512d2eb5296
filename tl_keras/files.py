"""Writes files completely or not at all, and explains in one line if a disk or a directory refuses them."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import pathlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence

from tl_keras.errors import ConfigError, DependencyError, WorkdirError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {
    errno.EACCES,
    errno.ENOENT,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


@contextlib.contextmanager
def replacing(path: pathlib.Path, *, option: str = "workdir") -> Iterator[pathlib.Path]:
    """Yields a path beside `path` for writing a file or a directory, then moves the result into place.

    The old content of `path` stays until the new one is complete and on disk; after an error nothing new remains.

    Args:
      path: File or directory to write.
      option: Option that chose it, for the message.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, which Keras checks
    try:
        with writing(path, option=option):
            yield temporary
            if temporary.is_dir() and path.exists():  # a directory cannot replace another one atomically
                older = temporary.with_name(f"{temporary.name}.older")
                path.replace(older)
                temporary.replace(path)
                remove(older)
            else:
                if temporary.is_file():
                    with temporary.open("rb") as file:
                        os.fsync(file.fileno())
                temporary.replace(path)
    finally:
        remove(temporary)


@contextlib.contextmanager
def made_once(folder: pathlib.Path, *, prefix: str) -> Iterator[pathlib.Path]:
    """Yields a new directory for the content of `folder`, which becomes `folder` once it is complete.

    Where another process was faster, its directory stays: its content is the same. After an error nothing new remains.

    Args:
      folder: Directory to make, whose parents are made too.
      prefix: Beginning of the name of the new directory beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as scratch:
        made = pathlib.Path(scratch)
        yield made
        with contextlib.suppress(OSError):
            made.rename(folder)
        made.mkdir(exist_ok=True)  # which is removed now


def require_suffix(path: pathlib.Path, suffixes: Sequence[str]) -> None:
    """Raises an error unless a table can be written to a file of this name.

    Args:
      path: File to write.
      suffixes: Suffixes of the formats that can be written, two or more; `.parquet` needs a package.

    Raises:
      ConfigError: The suffix says no known format.
      DependencyError: The package for it is missing.
    """
    if path.suffix not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ConfigError(f"out: expected a name that ends in {known}. Received: {path}.")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DependencyError("out: expected the package pyarrow for Parquet. Run: pip install 'tl_keras[tables]'")


def require_writable(folder: pathlib.Path, *, option: str = "workdir") -> None:
    """Raises a WorkdirError that names an option unless its directory, or the nearest parent that exists, can be written."""
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise WorkdirError(
            f"{option}: expected a directory. Received: {folder}, but {existing} is a file. Use another --{option}."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise WorkdirError(
            f"{option}: expected a directory that can be written. Received: {folder}. Use another --{option}."
        )


def write_text(path: pathlib.Path, text: str, *, option: str = "workdir") -> None:
    """Writes a text file, completely or not at all; names that are not UTF-8 as the bytes they are.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
    """
    with replacing(path, option=option) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_texts(folder: pathlib.Path, texts: Mapping[str, str], *, option: str) -> None:
    """Writes text files into a directory, which is made, each completely or not at all.

    Args:
      folder: Directory.
      texts: Contents of the files, by their names.
      option: Option that chose the directory.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
    """
    with writing(folder, option=option):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text, option=option)


def remove(path: pathlib.Path) -> None:
    """Removes a file or a directory with all its content, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: pathlib.Path, *, option: str = "workdir") -> Iterator[None]:
    """Turns a full disk, a missing folder or permission into a WorkdirError that names `path` and the option that chose it."""
    try:
        yield
    except Exception as error:  # OSError from Python and h5py, OpError from TensorFlow
        number = getattr(error, "errno", None)
        text = str(error)
        if number in _NO_SPACE or "No space left on device" in text or any(f"errno = {n}" in text for n in _NO_SPACE):
            raise WorkdirError(
                f"{option}: the disk is full while writing {path}. What was written before is kept; free some space and "
                "run the same command again."
            ) from error
        if number in _NOT_ALLOWED:
            raise WorkdirError(
                f"{option}: cannot write {path} ({os.strerror(number)}). Use another --{option}."
            ) from error
        raise


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
    """Turns the errors that libraries raise for a damaged file into a WorkdirError that names `path`."""
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise WorkdirError(
            f"workdir: expected {path} as training wrote it. Received: {said or type(error).__name__}. Remove it: the command that "
            "trained writes it again, from its checkpoint; or use another --workdir."
        ) from error
