"""Takes files of one content under several classes for one image with several labels."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import os
from collections import Counter

import numpy as np

from tl_keras.console import number_of
from tl_keras.data.base import FileSource
from tl_keras.data.order import on_host

_CHUNK = 2**20


def with_labels_of_copies(source: FileSource) -> FileSource:
    """Returns a source in which equal files of one split are one image, which has the label of each of them.

    They are links to one file, or copies of it to the byte. The first of them names the image.

    Args:
      source: Source of one class per image.
    """
    paths = [source.path(index) for index in range(len(source))]
    keys = [f"{split} {content}" for split, content in zip(source.declared_splits, _contents(paths), strict=True)]
    _, first, image = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    image, first = np.argsort(order)[image], first[order]
    labels = np.zeros((len(first), len(source.class_names)), np.int64)
    labels[image, source.labels] = 1
    merged = copy.copy(source)
    merged.labels, merged.ids = labels, [source.ids[index] for index in first.tolist()]
    merged.declared_splits = source.declared_splits[first]
    merged._paths = [source._paths[index] for index in first.tolist()]
    merged._read_paths = on_host(np.array(merged._paths, object))
    if source.groups is not None:
        merged.groups = dataclasses.replace(source.groups, names=source.groups.names[first])
    several = int((labels.sum(axis=1) > 1).sum())
    said = (
        f"{number_of(len(paths), 'file')} are {number_of(len(first), 'image')}, by content: {several} of them under several "
        "classes, which are their labels"
        if len(first) < len(paths)
        else "every image has one label; one that has several is in the folder of each, as a link or a copy"
    )
    merged.notes = (*source.notes, said)
    return merged


def _contents(paths: list[str]) -> list[str]:
    """Returns for each file a text that is equal for files of equal content; files alone in their size are not read."""
    files: list[tuple[str, int]] = []
    for path in paths:
        try:
            status = os.stat(path)
            files.append((f"{status.st_dev} {status.st_ino}", status.st_size))
        except OSError:  # the inspection says that it cannot be read
            files.append((path, -1))
    sizes = Counter(size for _, size in set(files))
    hashes: dict[str, str] = {}
    for path, (file, size) in zip(paths, files, strict=True):
        if sizes[size] > 1 and size >= 0 and file not in hashes:
            with contextlib.suppress(OSError):  # as above
                hashes[file] = _hash(path)
    return [hashes.get(file, file) for file, _ in files]


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()
