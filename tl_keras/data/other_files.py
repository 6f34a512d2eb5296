"""Says how to read what a folder holds instead of class folders: tables, records, archives; imports no TensorFlow.

Another kind of file is a line in `_how_to_read`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tl_keras.data.csv_file import read_csv
from tl_keras.data.image_files import Folder
from tl_keras.data.image_table import folder_of_images
from tl_keras.data.source_names import ARCHIVE_SUFFIXES, UNREAD_ARCHIVES
from tl_keras.errors import DataError

_SUFFIX = {
    ".tfrecord": "tfrecord",
    ".tfrec": "tfrecord",
    ".tfrecords": "tfrecord",
    ".npz": "npz",
    ".parquet": "parquet",
}


def how_to_read(root: str, tree: Folder) -> str:
    """Returns a sentence that says what to give as --data for the other files of a folder; empty if there are none.

    Args:
      root: Path of the folder.
      tree: The folder, as it was read.
    """
    return next(_how_to_read(root, tree), "")


def table_remedy(root: str, tree: Folder) -> str:
    """Returns a sentence on the table in a folder that says what its images are; empty if there is none."""
    tables = [path for path in _other_files(root, tree) if path.lower().endswith((".csv", ".tsv"))]
    folders = [os.path.join(root, folder.path) if folder.path else root for folder in tree.walk() if folder.images]
    found: dict[
        str, tuple[int, str]
    ] = {}  # a sample_submission.csv has fewer rows than the table of the training images
    for path in tables:
        with contextlib.suppress(DataError):
            table = read_csv(path)
            if (images_in := folder_of_images(table, folders)) is not None:
                found[path] = len(table.rows), images_in
    if found:
        path = max(found, key=lambda each: found[each][0])
        images_in = found[path][1]
        return f"The table says what the images are: use --data=csv:{path}{images_in and f' --images_in={images_in}'}."
    if tables:
        return f"Where {tables[0]} says what the images are, use --data=csv:{tables[0]}, with --images_in=FOLDER."
    return ""


def _how_to_read(root: str, tree: Folder) -> Iterator[str]:
    paths = list(_other_files(root, tree))
    for path in paths:
        folder, name = os.path.split(path)
        kind = next((kind for suffix, kind in _SUFFIX.items() if suffix in name.lower()), "")
        if kind == "tfrecord":
            yield f"Use --data=tfrecord:{folder}/*{name[name.lower().index('.tf') :].partition('-')[0]}*."
        elif kind:
            yield f"Use --data={kind}:{path}."
    archives = [path for path in paths if path.lower().endswith((*ARCHIVE_SUFFIXES, *UNREAD_ARCHIVES))]
    if len(archives) == 1 and archives[0].lower().endswith(ARCHIVE_SUFFIXES):
        yield f"Use --data={archives[0]}."
    elif archives:
        yield f"Unpack the archives in it, such as {archives[0]}."
    if any(path.lower().endswith((".csv", ".tsv")) for path in paths):
        yield table_remedy(root, tree)
    if any(path.lower().endswith(".txt") and os.path.dirname(path) != root for path in paths):
        yield f"Where the classes are of texts, use --data=txt:{root}."


def _other_files(root: str, tree: Folder) -> Iterator[str]:
    """Yields the paths of the files that are no images, nearest first, names sorted."""
    for folder in sorted(tree.walk(), key=lambda each: each.path.count("/")):
        if folder.other_files:
            here = os.path.join(root, folder.path) if folder.path else root
            for name in sorted(os.listdir(here)):
                if not name.startswith(".") and os.path.isfile(os.path.join(here, name)):
                    yield os.path.join(here, name)
