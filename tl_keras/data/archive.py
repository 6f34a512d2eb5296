"""Unpacks archives of images into the cache, once, and trusts nothing in them; imports no TensorFlow.

```
CACHE/unpacked/NAME-HASH/images   the files
                         notes.json  notes on the entries that were left out
```
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tl_keras.console import say
from tl_keras.data.file_kinds import kind_of_file
from tl_keras.data.image_files import LeftOut
from tl_keras.errors import DataError
from tl_keras.files import made_once
from tl_keras.user_folders import cache_folder

# Photos hardly compress, drawings ten- to fiftyfold. An archive that unpacks to much more was made to fill a disk.
_MOST_TIMES_LARGER = 200
_MOST_FILES = 5_000_000
_ALWAYS_ALLOWED_BYTES = 2**30
_LEFT_FREE_BYTES = 2**30
_LONGEST_PATH = 1024
_CHUNK = 2**20
_IS_UTF_8 = 0x800  # the flag of an entry of a zip file (APPNOTE.TXT 4.4.4)
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,  # a name in other bytes than it says
)


def unpack(path: str, cache: str) -> tuple[str, tuple[str, ...]]:
    """Unpacks an archive unless it has been unpacked before.

    Args:
      path: Path of a .zip or .tar file, the latter also compressed.
      cache: Directory of the cache; empty for the user's.

    Returns:
      The directory with its files, and notes on the entries that were left out.

    Raises:
      DataError: The archive is damaged or encrypted, names files outside itself, or unpacks to too much; or what was unpacked
        before is not whole.
    """
    status = os.stat(path)
    key = f"{os.path.abspath(path)}\n{status.st_size}\n{status.st_mtime_ns}"
    stem = re.sub(r"[^\w.-]", "_", os.path.basename(path))[:80]
    folder = (
        cache_folder(cache)
        / "unpacked"
        / f"{stem}-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    )
    if folder.is_dir() and not (folder / "notes.json").is_file():
        raise DataError(
            f"{path}: expected notes.json beside the files that were unpacked from it. Received none, so more may be missing. "
            f"Remove {folder}, and it is unpacked again."
        )
    if not (folder / "notes.json").is_file():
        say(f"{path}: unpacking into {folder}, where the images stay until you remove them")
        try:
            with made_once(folder, prefix=".unpacking_") as scratch:
                left_out = LeftOut()
                _unpack_into(scratch / "images", path, status.st_size, left_out)
                (scratch / "notes.json").write_text(json.dumps(left_out.notes()), encoding="utf-8")
        except _DAMAGED as error:
            raise DataError(
                f"{path}: expected an archive that can be unpacked. Received {_instead_of(path, status.st_size)} ({error}). "
                "Unpack it yourself and name the directory."
            ) from error
        except OSError as error:
            raise DataError(
                f"{path}: expected to unpack into {folder.parent}. That failed ({error}). Name another --cache_dir."
            ) from error
    return str(folder / "images"), tuple(json.loads((folder / "notes.json").read_text(encoding="utf-8")))


def _instead_of(path: str, size: int) -> str:
    """Returns what a file that cannot be unpacked is."""
    kind = kind_of_file(path)
    if not size or kind in ("HTML", "Git LFS", "rar", "7z"):
        return f"a file of the kind {kind}: download the archive itself" if size else "an empty file"
    return "a damaged, encrypted or unknown one"


def require_safe_name(archive: str, name: str) -> str:
    """Returns a name below a directory, with slashes.

    Raises:
      DataError: The name leads out of the directory, or no file system accepts it.
    """
    parts = name.replace("\\", "/").split("/")
    outside = name.startswith(("/", "\\")) or ".." in parts or re.match("[A-Za-z]:", name)
    if (
        outside
        or "\0" in name
        or len(os.fsencode(name)) > _LONGEST_PATH
        or any(len(os.fsencode(part)) > 255 for part in parts)
    ):
        raise DataError(
            f"{archive}: expected names of files inside it. Received {name[:200]!r}. Nothing of it was unpacked: "
            "it may be malicious."
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _unpack_into(folder: Path, path: str, size: int, left_out: LeftOut) -> None:
    free = shutil.disk_usage(folder.parent).free - _LEFT_FREE_BYTES
    limit = max(0, min(free, max(_ALWAYS_ALLOWED_BYTES, _MOST_TIMES_LARGER * size)))
    too_much = DataError(
        f"{path}: expected at most {limit / 2**30:.1f} GiB in {_MOST_FILES:,} files when unpacked, by its size and the room on the "
        "disk. Received more. Unpack it yourself and name the directory."
    )
    folder.mkdir()
    written = count = 0
    for name, contents in _entries(path, left_out):
        target = folder / require_safe_name(path, name)
        count += 1
        if count > _MOST_FILES:
            raise too_much
        for above in target.relative_to(folder).parents:
            if (folder / above).is_file():  # a folder may hold images, a file of its name without suffix hardly does
                left_out.add("files of a name that the archive has twice", str(above))
                (folder / above).unlink()
        if target.exists():
            left_out.add("files of a name that the archive has twice", name)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := contents.read(_CHUNK):
                written += len(chunk)
                if written > limit:
                    raise too_much
                file.write(chunk)


def _entries(path: str, left_out: LeftOut) -> Iterator[tuple[str, IO[bytes]]]:
    """Yields name and contents of every file of an archive, one after the other."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.external_attr >> 28 == 0o12:
                    left_out.add("links in the archive", _name_in_zip(entry))
                elif not entry.is_dir():
                    with archive.open(entry) as contents:
                        yield _name_in_zip(entry), contents
        return
    with tarfile.open(path, "r|*") as stream:
        for member in stream:
            file = stream.extractfile(member) if member.isreg() else None
            if file is not None:
                yield member.name, file
            elif not member.isdir():
                left_out.add("links and devices in the archive", member.name)


def _name_in_zip(entry: zipfile.ZipInfo) -> str:
    """Returns the name of an entry: macOS writes UTF-8 without the flag that says so, which `zipfile` reads as code page 437."""
    if entry.flag_bits & _IS_UTF_8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename
