"""Remembers what was read of each image by path, size and time, so that a second start costs a look at the directory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from tl_keras.console import Level, number_of, say
from tl_keras.data import conversion
from tl_keras.data.base import Source
from tl_keras.data.decoding import FILE_KINDS
from tl_keras.errors import TransferError, WorkdirError
from tl_keras.files import remove, replacing
from tl_keras.untrusted import check_npz

# To be raised when more or other facts are read of an image.
_FORMAT = 3
# Kind of what is no file: pixels, texts, and images that are not decoded.
NO_FILE = -1


@dataclasses.dataclass
class Looks:
    """The facts read from n images, in the order of the source; zero and empty for images that cannot be decoded.

    Attributes:
      hashes: str (n,), hashes of the content.
      reasons: object (n,), str, reason why an image is not decoded; empty for a damaged image, and for one that is decoded.
      heights: int64 (n,), heights of the upright images.
      widths: int64 (n,), widths of the upright images.
      kinds: int64 (n,), position of the file's kind among `tl_keras.data.decoding.FILE_KINDS`; -1 for what is no file.
      orientations: int64 (n,), EXIF orientation, 1 to 8.
      of_one_colour: bool (n,), whether all pixels have one colour.
      deepest: int64 (n,), the largest value of a 16-bit PNG; 0 for other files.
      alike: str (n,), hashes of texts without case, accents and punctuation; None for images.
    """

    hashes: np.ndarray
    reasons: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    kinds: np.ndarray
    orientations: np.ndarray
    of_one_colour: np.ndarray
    deepest: np.ndarray
    alike: np.ndarray | None = None

    @classmethod
    def empty(cls, n: int) -> Looks:
        """Returns the facts before anything was read."""
        return cls(
            hashes=np.full(n, "", "U64"),
            reasons=np.full(n, "", object),
            heights=np.zeros(n, np.int64),
            widths=np.zeros(n, np.int64),
            kinds=np.full(n, NO_FILE, np.int64),
            orientations=np.zeros(n, np.int64),
            of_one_colour=np.zeros(n, bool),
            deepest=np.zeros(n, np.int64),
        )

    def file_kinds(self) -> frozenset[str]:
        """Returns the kinds of the files that can be decoded; none if something that can be is no file."""
        kinds = np.unique(self.kinds[self.heights > 0]).tolist()
        return frozenset() if NO_FILE in kinds else frozenset(FILE_KINDS[kind] for kind in kinds)


# The columns of the file, with the types in which they are stored: 100 bytes for an image.
_STORED = {
    "heights": "<i4",
    "widths": "<i4",
    "kinds": "<i1",
    "orientations": "<u1",
    "of_one_colour": "?",
    "deepest": "<u2",
}


class InspectionMemory:
    """The memory of one source, read in one way.

    A file that was changed within two seconds before it was read is not remembered: it may change again at the same time.

    Args:
      folder: Directory of the cache.
      source: The images.
      reading: Settings that decide what is read of a file, as JSON values.
    """

    def __init__(self, folder: pathlib.Path, source: Source, reading: dict[str, object]):
        name = str(pathlib.Path(source.name).absolute())
        about = [_FORMAT, tf.__version__, conversion.can_convert(), name, reading]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = folder / "inspected" / f"{digest[:32]}.npz"
        self._parts = self._path.with_suffix(".parts")
        self._stamps = source.stamps()

    @property
    def has_parts(self) -> bool:
        """Returns whether parts were remembered by themselves."""
        return self._parts.is_dir()

    def recall(self, looks: Looks) -> np.ndarray:
        """Fills in what is remembered, and returns the indices of the other images, int64 (k,)."""
        missing = np.ones(len(looks.hashes), bool)
        files = [self._path, *sorted(self._parts.glob("*.npz"))]
        for file in files if self._stamps is not None else ():
            missing[self._recalled(file, looks)] = False
        if known := int((~missing).sum()):
            say(f"inspection: {number_of(known, 'image')} known by path, size and time", Level.DETAIL)
        return np.flatnonzero(missing)

    def _recalled(self, path: pathlib.Path, looks: Looks) -> np.ndarray:
        """Fills in what a file has, and returns the indices of those images."""
        assert self._stamps is not None
        nothing: np.ndarray = np.zeros(0, np.int64)
        if not path.is_file():
            return nothing
        try:
            check_npz(path)
            with np.load(path, allow_pickle=False) as file:
                columns = {name: file[name] for name in ("stamps", "hashes", "reasons", "reason", *_STORED)}
            if len({len(column) for name, column in columns.items() if name != "reasons"}) != 1:
                raise ValueError("columns of several lengths")
            return _filled(looks, self._stamps[0], columns)
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            zipfile.BadZipFile,
            zlib.error,
            TransferError,
        ) as error:
            say(f"inspection: {path} is damaged ({type(error).__name__}); its images are read again")
            return nothing

    def remember(self, looks: Looks, *, part: int | None = None) -> None:
        """Writes what was read, unless the source cannot tell whether its images change or the place cannot be written.

        Args:
          looks: The facts; those of an image without a hash were not read.
          part: Number of the part that was read, whose facts are kept by themselves until all are; None for all images.
        """
        if self._stamps is None:
            return
        stamps, settled = self._stamps
        kept = np.flatnonzero(settled & (looks.hashes != ""))
        reasons, reason = np.unique(looks.reasons[kept].astype(str), return_inverse=True)
        columns = {name: getattr(looks, name)[kept].astype(kind) for name, kind in _STORED.items()}
        path = self._path if part is None else self._parts / f"{part:06}.npz"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                np.savez(
                    temporary,
                    stamps=stamps[kept],
                    hashes=looks.hashes[kept].astype("S64"),
                    reasons=reasons,
                    reason=reason.astype("<u2"),
                    **columns,
                )
        except (OSError, WorkdirError) as error:
            say(f"inspection: not remembered for the next start ({error})", Level.DETAIL)
        else:
            if part is None:
                remove(self._parts)


def _filled(looks: Looks, stamps: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Fills in the rows whose stamps are known, and returns their indices."""
    known = columns["stamps"]
    if known.dtype != stamps.dtype:
        raise ValueError("stamps of another kind")
    if not len(known):
        return np.zeros(0, np.int64)
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], stamps), len(known) - 1)
    found = known[order][place] == stamps
    rows, indices = order[place[found]], np.flatnonzero(found)
    looks.hashes[indices] = columns["hashes"][rows].astype("U64")
    looks.reasons[indices] = columns["reasons"][columns["reason"][rows]].astype(object)
    for name in _STORED:
        getattr(looks, name)[indices] = columns[name][rows]
    return indices
