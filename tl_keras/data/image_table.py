"""Reads tables of images: which columns hold what, and where the images are; imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tl_keras.data.groups import Groups
from tl_keras.data.image_files import IMAGE_SUFFIXES, read_tree
from tl_keras.data.one_hot import with_label_column
from tl_keras.data.options import SourceOptions
from tl_keras.data.split_names import parse_split, splits_of_names
from tl_keras.data.table import Table
from tl_keras.errors import DataError

# Usual names of a table's columns, without case and separators; the first one found is used.
NAMES = {
    "image": (
        *("path", "image", "file", "filename", "filepath", "imagepath", "imagefile", "imagename", "img", "imgpath"),
        *("photo", "picture", "imageid", "imgid", "photoid", "id"),
    ),
    "label": ("label", "class", "classname", "category", "labels", "target", "species", "breed", "diagnosis", "y"),
    "split": ("split", "subset", "partition", "dataset", "set", "phase", "usage", "fold"),
    "group": (
        *("group", "groupid", "patient", "patientid", "subject", "subjectid", "person", "personid", "participant"),
        *("caseid", "studyid", "scene", "sceneid", "video", "videoid", "session", "sessionid", "lesionid", "animalid"),
    ),
}
# Number of different values up to which a column of another name is checked for splits.
_MOST_SPLITS = 10


@dataclasses.dataclass(frozen=True)
class TableListing:
    """The images of a table, one entry each in every column except the last.

    Attributes:
      ids: Names of the images in the table.
      paths: Paths of their files.
      labels: Names of their classes.
      splits: `train`, `validation`, `test` or empty.
      groups: Groups of images that stay in one split, or None.
      notes: Remarks for the user.
    """

    ids: list[str]
    paths: list[str]
    labels: list[str]
    splits: list[str]
    groups: Groups | None
    notes: list[str]


def list_table(table: Table, options: SourceOptions) -> TableListing:
    """Returns the images of a table.

    Raises:
      DataError: A column is missing, a row is incomplete, or an image is missing or listed twice.
    """
    given = options.column_names
    one_hot: list[str] = []
    if "label" not in given and "label" not in (found := _named_columns(table, given)):
        table, one_hot = with_label_column(table, found.values())
    chosen, notes = choose_columns(table, given)
    ids, labels = table.column(chosen["image"]), table.column(chosen["label"])
    for line, image_id, label, row in zip(table.lines, ids, labels, table.rows, strict=True):
        if not image_id or not label:
            raise DataError(
                f"{table.name} line {line}: expected a path and a label. Received: {','.join(row)}. Complete or remove the row."
            )
    splits, more = _read_splits(table, chosen, options)
    paths = _find_images(table, ids, options.images_in)
    kept = [index for index, split in enumerate(splits) if split != "unused"]
    if len(kept) < len(ids):
        more.append(f"rows that are to be left out: {len(ids) - len(kept)}")
    ids, paths, labels, splits = ([column[index] for index in kept] for column in (ids, paths, labels, splits))
    groups = None
    if "group" in chosen and not options.group_by:
        column = table.column(chosen["group"])
        groups = Groups.of_column(f"the column {chosen['group']}", [column[index] for index in kept])
    return TableListing(ids, paths, labels, splits, groups, [*table.notes, *notes, *one_hot, *more])


def choose_columns(table: Table, given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Returns the name of the column for each of image, label, split and group, if there is one, and notes.

    Args:
      table: The table.
      given: The user's names of columns; `none` for one that must not be used.

    Raises:
      DataError: There is no such column, or no column for the image or the label.
    """
    chosen = _named_columns(table, given)
    missing = [what for what in ("image", "label") if what not in chosen]
    if missing:
        example = ",".join(f"{what}=COLUMN" for what in missing)
        raise DataError(
            f"{table.name}: expected the header path,label[,split] or columns that mean these. Received "
            f"{','.join(table.columns) or 'an empty file'}. Name the columns: --columns={example}; or add the header."
        )
    unusual = [
        f"{what} from {chosen[what]}" for what in ("image", "label") if plain_name(chosen[what]) != NAMES[what][0]
    ]
    unusual = [note for note in unusual if note.split()[0] not in given]
    return chosen, [f"columns: {', '.join(unusual)}"] if unusual else []


def _named_columns(table: Table, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns that the user names, or that have a known name, by what they hold."""
    chosen: dict[str, str] = {}
    by_plain_name = {plain_name(name): name for name in reversed(table.columns)}
    for what, names in NAMES.items():
        if what in given:
            if given[what] != "none":
                chosen[what] = _require_column(table, what, given[what])
            continue
        found = [
            by_plain_name[name] for name in names if name in by_plain_name and by_plain_name[name] not in given.values()
        ]
        if found:
            chosen[what] = found[0]
    return chosen


def _require_column(table: Table, what: str, name: str) -> str:
    matches = [column for column in table.columns if column == name] or [
        column for column in table.columns if column.lower() == name.lower()
    ]
    if len(matches) != 1:
        received = f"{len(matches)} columns of that name" if matches else f"the columns {', '.join(table.columns)}"
        raise DataError(
            f"{table.name}: expected the column {name}, as --columns={what}={name} says. Received {received}."
        )
    return matches[0]


def _read_splits(table: Table, chosen: dict[str, str], options: SourceOptions) -> tuple[list[str], list[str]]:
    """Returns the split of every row, and remarks."""
    given, asked = options.meanings, "split" in options.column_names
    notes: list[str] = []
    column = chosen.get("split")
    if column is None and not asked:
        used = set(chosen.values())
        column = next((name for name in table.columns if name not in used and _holds_splits(table, name)), None)
    if column is None:
        return [""] * len(table.rows), notes
    cells = table.column(column)
    names = list(dict.fromkeys(cell for cell in cells if cell))
    meant = splits_of_names(names, given)
    unknown = [name for name in names if not meant[name]]
    if unknown and not asked and not given and plain_name(column) != "split":
        if len(names) <= _MOST_SPLITS:
            notes.append(
                f"the column {column} is not used: its values ({', '.join(names)}) name no splits; if they do, say which: "
                f"--columns=split={column} --splits={','.join(f'{name}=train' for name in names)}"
            )
        return [""] * len(cells), notes
    if plain_name(column) != "split" and not asked:
        notes.append(f"splits from the column {column}; --columns=split=none leaves it alone")
    for line, cell in zip(table.lines, cells, strict=True):
        if cell and not meant[cell]:
            parse_split(cell, where=f"{table.name} line {line}")
    return [meant[cell] if cell else "" for cell in cells], notes


def _holds_splits(table: Table, column: str) -> bool:
    values = {cell for cell in table.column(column) if cell}
    return 2 <= len(values) <= _MOST_SPLITS and len(set(splits_of_names(values, {}).values()) - {""}) == len(values)


def _find_images(table: Table, ids: Sequence[str], images_in: str) -> list[str]:
    """Returns the path of every image's file.

    Raises:
      DataError: An image is missing, could be several files, or is listed twice.
    """
    find = _finder_below(table, os.path.expanduser(images_in)) if images_in else _finder_beside(table)
    paths = [find(image_id) for image_id in ids]
    missing = [image_id for image_id, path in zip(ids, paths, strict=True) if not path]
    if missing:
        where = images_in or table.folder
        raise DataError(
            f"{table.name}: expected every path to be a file, relative to {where}. Received {len(missing)} of "
            f"{len(ids)} that are none, the first is {missing[0]}. {_remedy(table.folder, missing[0])}"
        )
    path, count = Counter(paths).most_common(1)[0]
    if count > 1:
        first = ids[paths.index(path)]
        raise DataError(f"{table.name}: expected every path once. Received {first} {count} times. Keep one row of it.")
    return [path for path in paths if path]


def _finder_beside(table: Table) -> Callable[[str], str]:
    """Returns a function from a cell to the file that it names, relative to the table's folder; empty if it is missing."""

    def find(cell: str) -> str:
        for written in dict.fromkeys((cell, cell.replace("\\", "/"), _as_stored(cell, table.encoding))):
            path = os.path.join(table.folder, written)
            if os.path.isfile(path):
                return path
        return next(filter(os.path.isfile, _with_suffixes(os.path.join(table.folder, cell))), "")

    return find


def _finder_below(table: Table, images_in: str) -> Callable[[str], str]:
    """Returns a function from a cell, a path below a folder or a file name, also without suffix, to the file."""
    if not os.path.isdir(images_in):
        raise DataError(f"images_in: expected a directory. Received: {images_in}, which is not one.")
    files: dict[str, str | None] = {}
    for path in read_tree(images_in)[0].all_images():
        name = path.rpartition("/")[2]
        for key in {path, os.path.splitext(path)[0], name, os.path.splitext(name)[0]}:
            files[key] = None if key in files else path

    def find(cell: str) -> str:
        cell = cell.replace("\\", "/") if "/" not in cell else cell
        for key in dict.fromkeys((cell, _as_stored(cell, table.encoding))):
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


def _as_stored(cell: str, encoding: str) -> str:
    """Returns a name as the file system has it, for a name written in the table's encoding."""
    return cell if encoding == "utf-8" or cell.isascii() else os.fsdecode(cell.encode(encoding, "replace"))


def _with_suffixes(path: str) -> list[str]:
    return [path + suffix for suffix in (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))]


def _remedy(folder: str, missing: str) -> str:
    """Returns how to find an image that is in a folder beside the table."""
    beside = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir()) if os.path.isdir(folder) else []
    found = _folder_with(missing, beside)
    if found is not None:
        return f"It is in {found}: use --images_in={found}."
    return "Correct the paths, remove the rows, or name the folder of the images with --images_in."


def folder_of_images(table: Table, folders: Sequence[str]) -> str | None:
    """Returns which folder holds the first image of a table: empty if its path needs none, None if it is in none of them.

    Args:
      table: The table; its columns are found by their names.
      folders: Paths of the folders in question.
    """
    column = _named_columns(table, {}).get("image")
    if column is None or not table.rows:
        return None
    first = table.column(column)[0]
    return "" if _folder_with(first, [table.folder]) else _folder_with(first, folders)


def _folder_with(image_id: str, folders: Sequence[str]) -> str | None:
    for folder in folders:
        path = os.path.join(folder, image_id)
        if image_id and any(map(os.path.isfile, (path, *_with_suffixes(path)))):
            return folder
    return None


def plain_name(name: str) -> str:
    """Returns a name of a column without case and separators."""
    return re.sub(r"[\W_]+", "", name.lower())
