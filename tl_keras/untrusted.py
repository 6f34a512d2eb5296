"""Checks archives from untrusted sources before a library reads them.

A `.keras` file, an `.npz` and HDF5 declare how large they are, and name other files to read. Keras before 3.12, NumPy and
h5py believe them. Every function here raises a ValueError whose first line says what is wrong; nothing here imports
TensorFlow or Keras.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import shutil
import tempfile
import zipfile
from typing import IO, Any

# The config of NASNetLarge, the longest in keras.applications, has 1.2 MB and 12 levels.
MAX_JSON_BYTES = 32 * 2**20
MAX_JSON_DEPTH = 100
_MAX_ENTRIES = 10_000

# Weights hardly compress; a file that unpacks to much more than its size holds something else.
_MAX_EXPANSION = 20
_ALWAYS_ALLOWED_BYTES = 64 * 2**20

# Size up to which content is checked in memory; larger content goes to a temporary file.
_SPOOLED_BYTES = 256 * 2**20


def parse_json(text: str | bytes, *, at_most: int | None = MAX_JSON_BYTES) -> Any:
    """Returns the content of a JSON text.

    Args:
      text: The text.
      at_most: Largest number of bytes, or of characters; None for any, as of the splits that a run of a million images has written.

    Raises:
      ValueError: The text is not JSON in UTF-8, is longer than that, or is nested more than 100 levels deep.
    """
    if at_most is not None and len(text) > at_most:
        raise ValueError(f"JSON of {_size(len(text))}, more than {_size(at_most)}")
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"JSON nested more than {MAX_JSON_DEPTH} levels deep") from error
    level, depth = [values], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"JSON nested more than {MAX_JSON_DEPTH} levels deep")
        inner = [value for value in level if isinstance(value, (dict, list))]
        level = [each for value in inner for each in (value.values() if isinstance(value, dict) else value)]
    return values


def read_json_entry(archive: zipfile.ZipFile, name: str) -> Any:
    """Returns the content of a JSON file in an archive, without unpacking more than is allowed.

    Raises:
      KeyError: The archive has no such file.
      ValueError: See `parse_json`.
    """
    return parse_json(read_entry(archive, name, at_most=MAX_JSON_BYTES))


def read_entry(archive: zipfile.ZipFile, name: str, *, at_most: int) -> bytes:
    """Returns the content of a file in an archive.

    Raises:
      KeyError: The archive has no such file.
      ValueError: It unpacks to more than `at_most` bytes.
    """
    size = archive.getinfo(name).file_size  # zipfile unpacks no more than an entry declares
    if size > at_most:
        raise ValueError(f"{name} in it unpacks to {_size(size)}, more than {_size(at_most)}")
    return archive.read(name)


def check_keras_archive(archive: zipfile.ZipFile, *, bytes_on_disk: int) -> None:
    """Raises a ValueError if reading a `.keras` file would take more than a network needs, or read other files.

    Args:
      archive: The opened file.
      bytes_on_disk: Size of the file.
    """
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise ValueError(f"it holds {len(entries)} files, more than {_MAX_ENTRIES}")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("it holds two files of one name")
    for entry in entries:
        if entry.filename.endswith(".json") and entry.file_size > MAX_JSON_BYTES:
            raise ValueError(
                f"{entry.filename} in it unpacks to {_size(entry.file_size)}, more than {_size(MAX_JSON_BYTES)}"
            )
    _check_expansion(sum(entry.file_size for entry in entries), bytes_on_disk, what="it unpacks")
    for entry in entries:
        if entry.filename.endswith((".h5", ".hdf5")):
            with archive.open(entry) as packed, tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as unpacked:
                shutil.copyfileobj(packed, unpacked, 2**20)
                check_hdf5(unpacked, bytes_on_disk=entry.file_size)


def check_hdf5(file: IO[bytes] | pathlib.Path, *, bytes_on_disk: int) -> None:
    """Raises a ValueError if an HDF5 file takes values from other files, or claims to hold more than it can.

    Links to other files, datasets stored outside the file and virtual datasets would read whatever the user may read.
    A soft link inside the file is refused as well: Keras writes none.

    Args:
      file: The file, opened or as a path.
      bytes_on_disk: Size of the file.
    """
    import h5py  # not at the top, because it takes a third of a second

    with h5py.File(file, "r") as opened:
        links: list[tuple[bytes, int]] = []  # h5py loses errors raised during a visit
        opened.id.links.visit(lambda name, link: links.append((name, link.type)), info=True)
        claimed = 0
        for name, kind in links:
            if kind != h5py.h5l.TYPE_HARD:
                raise ValueError(f"the HDF5 link {os.fsdecode(name)} leads elsewhere")
            found = h5py.h5o.open(opened.id, name)
            if isinstance(found, h5py.h5d.DatasetID):
                created = found.get_create_plist()
                if created.get_layout() == h5py.h5d.VIRTUAL or created.get_external_count():
                    raise ValueError(f"the HDF5 dataset {os.fsdecode(name)} is stored in other files")
                claimed += found.get_space().get_simple_extent_npoints() * found.get_type().get_size()
    _check_expansion(claimed, bytes_on_disk, what="its HDF5 datasets unpack")


def check_npz(file: str | os.PathLike[str] | IO[bytes]) -> None:
    """Raises a ValueError if the arrays of an `.npz` file claim more than the file holds, or more than fits into memory.

    NumPy allocates memory for what a header claims before it reads. Black images do compress a thousandfold, so the limit of
    the unpacked size is the machine's memory.
    """
    memory, total = _memory(), 0
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as array:
                claimed = _claimed_bytes(array)
            if claimed > entry.file_size:
                raise ValueError(
                    f"{entry.filename} in it claims {_size(claimed)} and unpacks to {_size(entry.file_size)}"
                )
            total += entry.file_size
            if total > memory:
                raise ValueError(f"its arrays take {_size(total)} and more; this machine has {_size(memory)} of memory")


def _claimed_bytes(file: IO[bytes]) -> int:
    """Returns the bytes that the header of an `.npy` file claims."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return math.prod(shape) * dtype.itemsize


def _check_expansion(unpacked: int, packed: int, *, what: str) -> None:
    if unpacked > max(_ALWAYS_ALLOWED_BYTES, _MAX_EXPANSION * packed):
        raise ValueError(f"{what} to {_size(unpacked)}, from {_size(packed)}")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.1f} MiB"
