"""Finds the files that a table of images names, as people write names; imports no TensorFlow."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from tl_keras.data.image_files import IMAGE_SUFFIXES, read_tree
from tl_keras.data.table import Table
from tl_keras.errors import DataError


def find_images(table: Table, ids: Sequence[str], images_in: str) -> tuple[list[str], list[str]]:
    """Returns the path of every image's file, and remarks.

    Args:
      table: The table, whose folder paths are relative to.
      ids: The images as the table names them.
      images_in: Directory of the images; empty for the table's own.

    Raises:
      DataError: An image is missing, or could be several files.
    """
    find = _finder_below(table, os.path.expanduser(images_in)) if images_in else _finder_beside(table)
    paths, notes = [find(image_id) for image_id in ids], []
    if not any(paths):
        # Of another computer, perhaps: /kaggle/input/set/cat/1.jpg.
        for left_away, shorter in _without_shared_folders(ids):
            if find(shorter[0]):
                paths, notes = [find(image_id) for image_id in shorter], [f"paths are read without their {left_away}"]
                break
    missing = [image_id for image_id, path in zip(ids, paths, strict=True) if not path]
    if missing:
        where = images_in or table.folder
        raise DataError(
            f"{table.name}: expected every path to be a file, relative to {where or 'the working directory'}. Received "
            f"{len(missing)} of {len(ids)} that are none, the first is {missing[0]}. {_remedy(where, missing[0])}"
        )
    return paths, notes


def folder_with(image_id: str, folders: Sequence[str]) -> str | None:
    """Returns the first folder that holds an image, also if its suffix is missing in `image_id`; None if none does."""
    for folder in folders:
        path = os.path.join(folder, image_id)
        if image_id and any(map(os.path.isfile, (path, *_with_suffixes(path)))):
            return folder
    return None


def identity(path: str) -> tuple[int, int] | str:
    """Returns what is equal for two paths of one file, whatever their spelling; a link is the file that it leads to."""
    status = os.stat(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _finder_beside(table: Table) -> Callable[[str], str]:
    """Returns a function from a cell to the file that it names, relative to the table's folder; empty if it is missing."""

    def find(cell: str) -> str:
        spellings = dict.fromkeys((*_spellings(cell, table.encoding), cell.replace("\\", "/")))
        paths = [os.path.join(table.folder, written) for written in spellings]
        candidates = itertools.chain(paths, *map(_with_suffixes, paths))
        return next(filter(os.path.isfile, candidates), "")

    return find


def _finder_below(table: Table, images_in: str) -> Callable[[str], str]:
    """Returns a function from a cell, a path below a folder or a file name, also without suffix, to the file."""
    if not os.path.isdir(images_in):
        raise DataError(f"images_in: expected a directory. Received: {images_in}, which is not one.")
    paths, files = read_tree(images_in)[0].all_images(), dict[str, str | None]()
    for path in paths:
        name = path.rpartition("/")[2]
        for key in {os.path.splitext(path)[0], name, os.path.splitext(name)[0]}:
            files[key] = None if key in files else path
    files.update(zip(paths, paths, strict=True))  # a path as it is fits one file, whatever another is called

    def find(cell: str) -> str:
        cell = cell.replace("\\", "/") if "/" not in cell else cell
        for key in _spellings(cell, table.encoding):
            if key in files:
                if files[key] is None:
                    raise DataError(
                        f"{table.name}: expected one image for each row. Received {cell}, which fits several files below "
                        f"{images_in}. Write the path in the table."
                    )
                return os.path.join(images_in, str(files[key]))
        path = os.path.join(images_in, cell)
        return path if os.path.isfile(path) else ""

    return find


def _without_shared_folders(ids: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields the first folders that all paths share, first one of them, then two, ..., and the paths without them."""
    parts = [(image_id if "/" in image_id else image_id.replace("\\", "/")).split("/") for image_id in ids]
    folders_of = [each[:-1] for each in parts]
    pairs = zip(min(folders_of), max(folders_of), strict=False)  # what these two share, all that lie between share too
    shared = [folder for folder, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    for count in range(1, len(shared) + 1):
        folders = "/".join(shared[:count])
        yield f"first folders {folders}" if folders else "first /", ["/".join(each[count:]) for each in parts]


def _spellings(cell: str, encoding: str) -> dict[str, None]:
    """Returns a name as it is written, in the bytes of the table's encoding, and with its accents composed or apart (macOS)."""
    if cell.isascii():
        return {cell: None}
    stored = cell if encoding == "utf-8" else os.fsdecode(cell.encode(encoding, "replace"))
    return dict.fromkeys((cell, stored, unicodedata.normalize("NFC", cell), unicodedata.normalize("NFD", cell)))


def _with_suffixes(path: str) -> Iterator[str]:
    return (path + written for suffix in IMAGE_SUFFIXES for written in (suffix, suffix.upper()))


def _remedy(folder: str, missing: str) -> str:
    """Returns how to find an image that is not where its table says."""
    if re.match(r"[a-z0-9+]+://", missing, re.IGNORECASE):
        return "It is an address: copy the images to this machine, and write their paths."
    beside = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir()) if os.path.isdir(folder) else []
    found = folder_with(missing, beside)
    if found is not None:
        return f"It is in {found}: use --images_in={found}."
    where, name = os.path.split(os.path.join(folder, missing))
    stem = os.path.splitext(name)[0].lower()
    for other in sorted(os.listdir(where)) if os.path.isdir(where) else ():
        other_stem = os.path.splitext(other)[0].lower()
        if other_stem == stem:
            return f"{other} is there: write the names in the table as the files have them."
        if stem.isdigit() and other_stem.isdigit() and int(other_stem) == int(stem):
            return f"{other} is there: the table has lost the leading zeros; store the column as text."
    return "Correct the paths, remove the rows, or name the folder of the images with --images_in."
