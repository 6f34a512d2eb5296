"""Stores activations of frozen layers on disk: computed once per image, read by every later epoch, run and sweep.

```
CACHE/lock           held by the process that makes room
CACHE/KIND/rows      the activations, one row of fixed size per image
           index     36 bytes per row: the key of its content (SHA-256), and the CRC-32 of the row
           lock      held by the process that adds rows
           kind.json the facts whose hash is the name KIND: weights, cut, preprocessing
```
Both files only grow until they are removed to make room. Rows are written before their index, so that a kill leaves a shorter
cache. A row is found by the content of its image: a changed image has no row yet, and a renamed one keeps its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import math
import os
import pathlib
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from tl_keras.errors import WorkdirError
from tl_keras.files import writing

# Names of the folders of kinds; unpacked archives, converted and fetched images may be beside them and in use.
_KIND = 32 * "[0-9a-f]"
_REMOVED = ".removed_"  # beginning of the names of those that are being removed
_KEY_BYTES = 32
_KEY = np.dtype(f"V{_KEY_BYTES}")
_RECORD = np.dtype([("key", _KEY), ("crc", "<u4")])


@dataclasses.dataclass(frozen=True)
class RowSpec:
    """The content of a row: one or several float tensors of one image.

    Attributes:
      shapes: Shape of each tensor, without the batch.
      dtype: Stored type, `float32` or `float16`.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtype: str = "float32"

    @property
    def nbytes(self) -> int:
        """Returns the bytes of a row."""
        return sum(math.prod(shape) for shape in self.shapes) * np.dtype(self.dtype).itemsize

    def nbytes_on_disk(self, rows: int) -> int:
        """Returns the bytes that a number of rows take, including their entries in the index."""
        return rows * (self.nbytes + _RECORD.itemsize)

    def holds(self, tensors: Sequence[np.ndarray]) -> bool:
        """Returns whether no value is too large for the type; float16 ends at 65,504 and rounds to 11 bits."""
        return all(np.abs(tensor).max(initial=0) <= np.finfo(self.dtype).max for tensor in tensors)


class FeatureCache:
    """A directory of cached activations that several runs share.

    Args:
      folder: Directory of the cache, created when the first row is written.
      limit_gib: Largest size of the whole cache; the least recently used kinds are removed first.
    """

    def __init__(self, folder: pathlib.Path, *, limit_gib: float):
        self.folder = folder
        self.limit_gib = limit_gib

    def rows(self, kind: dict[str, Any], spec: RowSpec) -> FeatureRows:
        """Returns the rows of one kind, which may not be on disk yet.

        Args:
          kind: Facts that decide the activations besides the image, as JSON types.
          spec: Content of a row.
        """
        described = json.dumps({**kind, **dataclasses.asdict(spec)}, sort_keys=True)
        name = hashlib.sha256(described.encode()).hexdigest()[:32]
        return FeatureRows(self.folder / name, spec, described)

    def refusal(self, nbytes: int) -> str:
        """Returns why `nbytes` cannot be stored here whatever is removed, in a few words, or an empty string."""
        if nbytes > self.limit_gib * 2**30:
            return f"they take {nbytes / 2**30:.2g} GiB, more than --cache_gib={self.limit_gib:g}"
        existing = next(path for path in [self.folder, *self.folder.parents] if path.is_dir())
        if not os.access(existing, os.W_OK | os.X_OK):
            return f"{self.folder} cannot be written (--cache_dir names another place)"
        return ""

    def make_room(self, missing: int, *, needed: int, keep: FeatureRows) -> str:
        """Removes the least recently used kinds until the missing rows fit, and if that is not enough, the rows of `keep`.

        Call it within `keep.locked()`, and look up the rows again afterwards.

        Args:
          missing: Number of bytes of the rows to add to those of `keep`.
          needed: Number of bytes of the rows to add if `keep` has none.
          keep: The kind to fill. Either all its rows are removed or none.

        Returns:
          The reason why they do not fit, in a few words, or an empty string.
        """
        if (self.folder / "lock").is_dir():
            raise WorkdirError(f"cache: expected a file in {self.folder / 'lock'}. Received: a directory. Remove it.")
        with _lock(self.folder / "lock"):  # keeps other processes from removing what is measured here
            for left in self.folder.glob(f"{_REMOVED}*"):  # by a process that was killed while it removed them
                shutil.rmtree(left, ignore_errors=True)
            sizes = {path: _size(path) for path in self.folder.glob(_KIND) if path.is_dir()}
            free = shutil.disk_usage(self.folder).free
            room = min(self.limit_gib * 2**30 - sum(sizes.values()), free)
            others = sorted(sizes.keys() - {keep.folder}, key=lambda path: path.stat().st_mtime, reverse=True)
            while others and room < missing:
                oldest = others.pop()
                if _remove_unless_locked(oldest):
                    room += sizes[oldest]
            if room < missing:
                room += keep.nbytes
                if room < needed:
                    return (
                        f"they take {needed / 2**30:.2g} GiB, and its disk, or what other runs are writing, leaves "
                        f"{self.folder} {max(room, 0) / 2**30:.2g} GiB"
                    )
                keep.clear()
        return ""

    def take_over(self, other: pathlib.Path) -> None:
        """Moves the rows of another cache here.

        Args:
          other: Folder of that cache, to which nobody adds; it is removed.

        Raises:
          WorkdirError: There is no room for them.
        """
        for folder in sorted(other.glob(_KIND)):
            described = (folder / "kind.json").read_text(encoding="utf-8")
            facts = json.loads(described)
            mine = FeatureRows(
                self.folder / folder.name, RowSpec(tuple(map(tuple, facts["shapes"])), facts["dtype"]), described
            )
            with mine.locked():
                nbytes = _size(folder)
                if reason := self.make_room(nbytes, needed=nbytes, keep=mine):
                    raise WorkdirError(f"cache: expected room for the features of the images. Received: {reason}.")
                for name in ("rows", "index"):
                    with (folder / name).open("rb") as source, (mine.folder / name).open("ab") as file:
                        shutil.copyfileobj(source, file)
        shutil.rmtree(other)


class FeatureRows:
    """The rows of one kind on disk.

    Args:
      folder: Directory of the rows.
      spec: Content of a row.
      described: Description for people, written beside them.
    """

    def __init__(self, folder: pathlib.Path, spec: RowSpec, described: str):
        self.folder = folder
        self.spec = spec
        self._described = described

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from adding rows, and cuts off a row that a killed process left half-written.

        Raises:
          WorkdirError: The place is not writable.
        """
        self._require_files()
        with writing(self.folder), _lock(self.folder / "lock"):
            (self.folder / "kind.json").write_text(self._described, encoding="utf-8")
            whole = min(
                _size(self.folder / "rows") // self.spec.nbytes, _size(self.folder / "index") // _RECORD.itemsize
            )
            for name, record_bytes in (("rows", self.spec.nbytes), ("index", _RECORD.itemsize)):
                with (self.folder / name).open("ab") as file:
                    file.truncate(whole * record_bytes)
            yield

    @property
    def nbytes(self) -> int:
        """Returns the bytes that the existing rows take on disk."""
        return _size(self.folder / "rows") + _size(self.folder / "index")

    def clear(self) -> None:
        """Removes all rows; open readers keep theirs. Call it within `locked`."""
        for name in ("rows", "index"):  # an index without rows finds none
            (self.folder / name).unlink(missing_ok=True)

    def append(self, keys: Sequence[bytes], tensors: Sequence[np.ndarray]) -> None:
        """Adds a row for each key. Call it within `locked`.

        Args:
          keys: Keys of 32 bytes each.
          tensors: Arrays of shapes (len(keys), *shape), in the order of `spec.shapes`.

        Raises:
          WorkdirError: The disk is full.
        """
        flat = [np.asarray(tensor, self.spec.dtype).reshape(len(keys), -1) for tensor in tensors]
        rows = np.ascontiguousarray(np.concatenate(flat, axis=1))
        index = np.array([(key, zlib.crc32(row)) for key, row in zip(keys, rows, strict=True)], _RECORD)
        with writing(self.folder):
            for name, records in (("rows", rows), ("index", index)):
                with (self.folder / name).open("ab") as file:
                    file.write(records.tobytes())

    def _require_files(self) -> None:
        """Raises a WorkdirError if something else is in the place of a file."""
        for name in ("rows", "index", "lock", "kind.json"):
            if (self.folder / name).is_dir():
                raise WorkdirError(
                    f"cache: expected a file in {self.folder / name}. Received: a directory. Remove {self.folder}: what was "
                    "in it is computed again."
                )

    def reader(self) -> RowReader:
        """Opens the existing rows; if there are none, returns a reader that finds none.

        Raises:
          WorkdirError: Something else is in the place of a file.
        """
        self._require_files()
        try:
            index = (self.folder / "index").read_bytes()
            os.utime(self.folder)  # marks it as used now
            rows = os.open(self.folder / "rows", os.O_RDONLY)
        except FileNotFoundError:
            index, rows = b"", os.open(os.devnull, os.O_RDONLY)
        return RowReader(rows, index, self.spec)


class RowReader:
    """Finds and reads rows, which stay the same even if the cache is emptied and filled again.

    Rows are read and not mapped into memory, so that memory stays flat while the system caches what is read often.

    Args:
      rows: Descriptor of the open file of rows, which the reader closes.
      index: Content of the index file.
      spec: Content of a row.
    """

    def __init__(self, rows: int, index: bytes, spec: RowSpec):
        self._file = rows
        weakref.finalize(self, os.close, rows)
        self._index = np.frombuffer(index[: len(index) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)
        self._order = np.argsort(self._index["key"], kind="stable")
        self.spec = spec
        self._ends = np.cumsum([math.prod(shape) for shape in spec.shapes])[:-1]

    def find(self, keys: Sequence[bytes]) -> np.ndarray:
        """Returns the position of each key's row, int64 (n,), and -1 if there is no intact one."""
        if not len(self._order):
            return np.full(len(keys), -1, np.int64)
        known, wanted = self._index["key"][self._order], np.array(keys, _KEY)
        places = np.searchsorted(known, wanted, side="right") - 1  # the later of two rows with one key
        positions: np.ndarray = np.where(known[places] == wanted, self._order[places], -1)
        for position in np.unique(positions[positions >= 0]):
            row = os.pread(self._file, self.spec.nbytes, int(position) * self.spec.nbytes)
            if zlib.crc32(row) != self._index["crc"][position] or len(row) < self.spec.nbytes:
                positions[positions == position] = -1
        return positions

    def __call__(self, positions: np.ndarray) -> list[np.ndarray]:
        """Returns the tensors of some rows, float32 (len(positions), *shape) each."""
        rows: np.ndarray = np.empty((len(positions), self.spec.nbytes), np.uint8)
        for row, position in zip(rows, positions.tolist(), strict=True):
            row[:] = np.frombuffer(os.pread(self._file, len(row), position * len(row)), np.uint8)
        parts = np.split(rows.view(self.spec.dtype).astype(np.float32, copy=False), self._ends, axis=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.spec.shapes, strict=True)]


def _lock(path: pathlib.Path) -> TextIO:
    """Waits for the lock of a file, which is created if it is missing; the lock is held until the file is closed."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as files:
            lock = files.enter_context(path.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):  # the last holder may have removed the folder
                files.pop_all()
                return lock


def _remove_unless_locked(folder: pathlib.Path) -> bool:
    """Removes a kind unless a process is adding rows to it; returns whether it did."""
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The whole folder goes at once, so that nobody adds rows to a half-removed kind.
            removed = folder.rename(tempfile.mkdtemp(dir=folder.parent, prefix=_REMOVED))
            shutil.rmtree(removed, ignore_errors=True)
            return True
    except OSError:
        return False


def _size(path: pathlib.Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0
