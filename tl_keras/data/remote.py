"""Copies images from gs://, s3:// and https:// into the cache, once; imports no TensorFlow."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

from tl_keras.console import first_line, number_of, say
from tl_keras.data.archive import require_safe_name
from tl_keras.data.source_names import ARCHIVE_SUFFIXES
from tl_keras.errors import DataError
from tl_keras.files import made_once
from tl_keras.user_folders import cache_folder


def fetch(address: str, cache: str) -> str:
    """Returns the path of a copy of an archive or a directory, after copying it unless the cache has the same files.

    Args:
      address: Address that fsspec reads, of an archive or, with gs:// and s3://, of a directory.
      cache: Directory of the cache; empty for the user's.

    Raises:
      DataError: There is nothing at the address, or it cannot be read.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address)
        found = _files(system, path)
    except Exception as error:  # networks and file systems raise errors of many types
        raise DataError(
            f"{address}: expected an archive or a directory there. Reading it failed ({first_line(error)}). "
            "Check the address and the credentials."
        ) from error
    is_archive = path.partition("?")[0].lower().endswith(ARCHIVE_SUFFIXES)
    if not is_archive and (address.lower().startswith("http") or not found):
        raise DataError(
            f"{address}: expected an archive ({', '.join(ARCHIVE_SUFFIXES)}){'' if found else ' or a directory with files'}. "
            "Received something else. Name the archive itself."
        )
    key = hashlib.sha256(repr((address, sorted(found.items()))).encode()).hexdigest()[:16]
    folder = cache_folder(cache) / "fetched"
    name = re.sub(r"[^\w.-]", "_", path.partition("?")[0].rstrip("/").rpartition("/")[2])[-80:]
    target = folder / key / name
    if not target.exists():
        size = sum(facts[0] or 0 for facts in found.values())
        say(f"{address}: {size / 2**20:,.0f} MiB are copied to {target}, where they stay until you remove them")
        with made_once(folder / key, prefix=".fetching_") as scratch:
            _copy(system, address, path, found, str(scratch / name), is_archive=is_archive)
    return str(target)


def _files(system: Any, path: str) -> dict[str, tuple[Any, ...]]:
    """Returns size and version of every file at or below a path."""
    information = system.info(path)
    listed = {path: information} if information["type"] == "file" else system.find(path, detail=True)
    version = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated")
    return {
        name: (facts.get("size"), *(str(facts[key]) for key in version if key in facts))
        for name, facts in listed.items()
    }


def _copy(
    system: Any, address: str, path: str, found: dict[str, tuple[Any, ...]], target: str, *, is_archive: bool
) -> None:
    try:
        if is_archive:
            system.get_file(path, target)
            return
        names = sorted(found)
        targets = [
            os.path.join(target, require_safe_name(address, name[len(path.rstrip("/")) + 1 :])) for name in names
        ]
        for folder in {os.path.dirname(each) for each in targets}:
            os.makedirs(folder, exist_ok=True)
        system.get(names, targets)
    except DataError:
        raise
    except Exception as error:  # as above
        raise DataError(
            f"{address}: expected to copy {number_of(len(found), 'file')}. That failed ({first_line(error)}). Try again."
        ) from error
