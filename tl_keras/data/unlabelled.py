"""Opens images without labels: every image below a folder, whatever its subfolders mean."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from tl_keras.data.archive import unpack
from tl_keras.data.base import FileSource, Source
from tl_keras.data.image_files import read_tree
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.remote import fetch
from tl_keras.data.source_names import check_source
from tl_keras.data.sources import open_source
from tl_keras.data.webdataset import WebDatasetSource
from tl_keras.errors import DataError


def open_unlabelled(source: Any, options: SourceOptions = NO_OPTIONS) -> Source:
    """Lists the images of a source without their labels, which may be missing: `labels` are int64 (n, 0).

    Args:
      source: A directory or an archive, also at an address, of which all images at any depth are taken; or anything else that
        `tl_keras.data.sources.open_source` takes, whose labels are left aside.
      options: Options for reading it.

    Raises:
      DataError: There is no such source, or it holds no image.
    """
    if not isinstance(source, str | os.PathLike):
        return without_labels(open_source(source, options))
    kind, rest = check_source(source)
    if kind == "remote":
        copied = open_unlabelled(fetch(rest, options.cache_folder), options)
        copied.name = rest
        return copied
    if kind == "archive":
        folder, notes = unpack(rest, options.cache_folder)
        return _images_below(folder, name=rest, notes=notes, cache_folder=options.cache_folder)
    if kind == "folder":
        return _images_below(rest, name=rest, cache_folder=options.cache_folder)
    if kind == "webdataset":
        return WebDatasetSource(rest, options, labelled=False)
    return without_labels(open_source(source, options))


def without_labels(source: Source) -> Source:
    """Returns a source without its labels, splits and groups."""
    bare = copy.copy(source)
    bare.class_names, bare.groups = (), None
    bare.labels, bare.declared_splits = np.zeros((len(source), 0), np.int64), np.full(len(source), "")
    return bare


def _images_below(folder: str, *, name: str, notes: tuple[str, ...] = (), cache_folder: str) -> FileSource:
    """Returns all images below a folder, in the order of their paths."""
    tree, left_out = read_tree(folder)
    ids = sorted(tree.all_images())
    if not ids:
        more = "".join(f" ({note})" for note in left_out.notes()[:1])
        raise DataError(f"{name}: expected a folder with images at some depth. Received: none{more}. Check the path.")
    return FileSource(
        name=name,
        class_names=(),
        ids=ids,
        labels=np.zeros((len(ids), 0), np.int64),
        declared_splits=np.full(len(ids), ""),
        notes=(*notes, *left_out.notes()),
        paths=[os.fsencode(os.path.join(folder, each)) for each in ids],
        cache_folder=cache_folder,
    )
