"""Tells whether files have changed by a look at their directory entries; imports no TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Sequence

import numpy as np

# Time within which a file can change twice and have the same time: two seconds on the coarsest file system, FAT.
_SETTLED_NS = 2_000_000_000


def revision_of_files(paths: Iterable[str | bytes | os.PathLike[str]]) -> str:
    """Returns a hash of the sizes and modification times of files, in order; a missing file adds nothing to it."""
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def stamps_of_files(paths: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns stamps by path, size and times of files, V16 (n,), and whether each is sure to change with its file, bool (n,).

    A file that has changed a moment ago may change again within the same time, unseen; one that is missing has no sure stamp.
    """
    described: list[bytes] = []
    settled: np.ndarray = np.zeros(len(paths), bool)
    newest = time.time_ns() - _SETTLED_NS
    folder = os.fsencode(os.getcwd())
    for index, path in enumerate(paths):
        try:
            status = os.stat(path)
        except OSError:
            described.append(b"")
            continue
        times = (status.st_mtime_ns, status.st_ctime_ns)
        settled[index] = max(times) < newest
        described.append(b"%s %d %d %d" % (os.path.join(folder, path), status.st_size, *times))
    return digests(described), settled


def digests(described: Iterable[bytes]) -> np.ndarray:
    """Returns a hash of each text, V16 (n,)."""
    return np.array([hashlib.blake2b(each, digest_size=16).digest() for each in described], "V16")
