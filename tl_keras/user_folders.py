"""Finds the directories that commands share: in the user's home or, if that cannot be written, in a temporary place.

Homes are read-only or missing in containers, in shared notebooks, and for services that run as a user of their own.
"""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import tempfile

from tl_keras.console import say


def cache_folder(chosen: str = "") -> pathlib.Path:
    """Returns the directory of the cache: the chosen one, or `tl_keras` in XDG_CACHE_HOME or in ~/.cache.

    If the default cannot be written, a temporary directory that lasts as long as the process replaces it, and a line says so.

    Args:
      chosen: Value of `--cache_dir`; empty for the user's cache.
    """
    if chosen:
        return expanded(chosen)
    return _writable_or_temporary(expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tl_keras")


def keras_home() -> pathlib.Path:
    """Returns the directory in which Keras looks for weights and settings; it need not exist."""
    return expanded(os.environ.get("KERAS_HOME") or "~/.keras")


def temporary_folder(prefix: str) -> pathlib.Path:
    """Returns a new directory that is removed when this process ends."""
    folder = tempfile.TemporaryDirectory(prefix=prefix)
    atexit.register(folder.cleanup)
    return pathlib.Path(folder.name)


def expanded(path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns a path with `~` replaced by the home, if there is one; pathlib would raise an error if not.

    Programs may write it, and flags of paths have it (`tl_keras.path_flags`), since no shell expands the one in `--workdir=~/run1`.
    """
    return pathlib.Path(os.path.expanduser(path))  # noqa: PTH111


@functools.cache
def _writable_or_temporary(folder: pathlib.Path) -> pathlib.Path:
    try:
        if str(folder).startswith("~"):
            raise FileNotFoundError(0, "this user has no home")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        temporary = temporary_folder("tl_keras_cache_")
        os.environ.setdefault(
            "MPLCONFIGDIR", str(temporary)
        )  # otherwise matplotlib complains about the home, in two lines
        say(
            f"cache: {folder} cannot be written ({error.strerror}); {temporary} takes its place until this command ends "
            "(--cache_dir=FOLDER names one that stays)"
        )
        return temporary
