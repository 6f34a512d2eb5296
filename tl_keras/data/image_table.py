"""Reads tables of images: which columns hold what, and where the images are; imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tl_keras.config.choices import LabelKind
from tl_keras.data.groups import Groups, groups_of_column
from tl_keras.data.image_paths import find_images, folder_with, identity
from tl_keras.data.one_hot import with_label_column
from tl_keras.data.options import SourceOptions
from tl_keras.data.split_names import parse_split, splits_of_names
from tl_keras.data.table import Table
from tl_keras.data.table_labels import label_columns, read_labels
from tl_keras.errors import DataError, nearest

# Usual names of a table's columns, without case and separators; the first one found is used.
NAMES = {
    "image": (
        *("path", "image", "file", "filename", "filepath", "imagepath", "imagefile", "imagename", "img", "imgpath"),
        *("photo", "picture", "imageid", "imgid", "photoid", "id"),
    ),
    "text": (
        *("text", "sentence", "question", "review", "comment", "tweet", "message", "utterance", "headline", "abstract"),
        *("document", "query", "statement"),
    ),
    "label": ("label", "class", "classname", "category", "labels", "target", "species", "breed", "diagnosis", "y"),
    "split": ("split", "subset", "partition", "dataset", "set", "phase", "usage", "fold"),
    "group": (
        *("group", "groupid", "patient", "patientid", "subject", "subjectid", "person", "personid", "participant"),
        *("caseid", "studyid", "scene", "sceneid", "video", "videoid", "session", "sessionid", "lesionid", "animalid"),
    ),
}
_IDS = ("imageid", "imgid", "photoid", "id")  # which a table of texts has as well
# Number of different values up to which a column of another name is checked for splits.
_MOST_SPLITS = 10

# What to do where an image is in two rows that disagree.
_ONE_CLASS = (
    "Keep one of them; several labels of an image stand in one cell, separated by ';', with --task=multi_label."
)
_REMEDIES: dict[LabelKind, str] = {
    "class": _ONE_CLASS,
    "order": "Keep one of them.",
    "labels": "Put all labels of an image into one row.",
    "numbers": "Keep one of them, or their mean.",
}


@dataclasses.dataclass(frozen=True)
class TableListing:
    """The images of a table, one entry each in every column except the last.

    Attributes:
      ids: Names of the images in the table.
      paths: Paths of their files.
      labels: Names of their classes; where an image has several labels or numbers, a row of numbers for each.
      splits: `train`, `validation`, `test` or empty.
      groups: Groups of images that stay in one split, or None.
      notes: Remarks for the user.
      names: Names of the numbers in a row of `labels`; empty if these are names of classes.
    """

    ids: list[str]
    paths: list[str]
    labels: list[Any]
    splits: list[str]
    groups: Groups | None
    notes: list[str]
    names: tuple[str, ...] = ()


def list_table(table: Table, options: SourceOptions) -> TableListing:
    """Returns the images of a table.

    Raises:
      DataError: A column is missing, a row is incomplete, or an image is missing, or has two labels, splits or groups.
    """
    table, chosen, names, labels, notes = labelled(table, options)
    ids = table.column(chosen["image"])
    incomplete = [index for index in range(len(ids)) if not ids[index] or labels[index] == ""]
    if incomplete:
        others = f" and {len(incomplete) - 1} more such rows" if len(incomplete) > 1 else ""
        raise DataError(
            f"{table.name} line {table.lines[incomplete[0]]}: expected a path and a label. Received: "
            f"{','.join(table.rows[incomplete[0]])}{others}. Complete or remove the row{'s' if others else ''}; where an image "
            "may have several labels or none, use --task=multi_label."
        )
    splits, more = read_splits(table, chosen, options)
    paths, renamed = find_images(table, ids, options.images_in)
    kept = [index for index, split in enumerate(splits) if split != "unused"]
    if len(kept) < len(ids):
        more.append(f"rows that are to be left out: {len(ids) - len(kept)}")
    by_column = "group" in chosen and options.group_by in ("", chosen["group"])
    group_of = table.column(chosen["group"]) if by_column else [""] * len(ids)
    said = labels if not names else [_in_words(label, names, options.label_kind) for label in labels]
    meanings = _meanings(said, splits, group_of, chosen.get("group", ""))
    kept, repeated = _first_rows(table, kept, ids, paths, meanings, remedy=_REMEDIES[options.label_kind])
    more += [*renamed, *repeated]
    ids, paths, labels, splits = ([column[index] for index in kept] for column in (ids, paths, labels, splits))
    groups = None
    if by_column:
        members = [group_of[index] for index in kept]
        groups = groups_of_column(table.name, chosen["group"], members, group_by=options.group_by)
    return TableListing(ids, paths, labels, splits, groups, [*table.notes, *notes, *more], names)


def labelled(
    table: Table, options: SourceOptions, *, what: str = "image"
) -> tuple[Table, dict[str, str], tuple[str, ...], list[Any], list[str]]:
    """Returns the table, its columns by what they hold, the names of labels or numbers if any, the labels, and notes.

    Args:
      table: The table.
      options: Names of its columns, and the kind of labels.
      what: Word for what is labelled: `image` or `text`.
    """
    if table.columns and not table.rows:
        raise DataError(
            f"{table.name}: expected rows. Received the columns {','.join(table.columns)} only. Add a row for each {what}."
        )
    given = options.column_names
    if options.group_by and options.group_by in table.columns:
        given = {**given, "group": options.group_by}
    if options.label_kind in ("class", "order"):
        one_hot: list[str] = []
        if "label" not in given and "label" not in (found := named_columns(table, given)):
            table, one_hot = with_label_column(table, found.values())
        chosen, notes = choose_columns(table, given, needed=(what, "label"))
        return table, chosen, (), table.column(chosen["label"]), [*notes, *one_hot]
    asked = [_require_column(table, "label", name) for name in label_columns(given, table.columns)]
    others = {content: name for content, name in given.items() if content != "label"}
    chosen, notes = choose_columns(table, others, needed=(what,))
    columns = asked or [chosen["label"]] if asked or "label" in chosen else []
    labels = read_labels(table, columns, options.label_kind, others=chosen.values())
    chosen["label"] = labels.columns[0]
    return table, chosen, labels.names, list(labels.rows), [*notes, *labels.notes]


def choose_columns(
    table: Table, given: Mapping[str, str], *, needed: Sequence[str] = ("image", "label")
) -> tuple[dict[str, str], list[str]]:
    """Returns the name of the column for each of image, label, split and group, if there is one, and notes.

    Args:
      table: The table.
      given: The user's names of columns; `none` for one that must not be used.
      needed: Contents for which there must be a column.

    Raises:
      DataError: There is no such column, or none for what is needed.
    """
    chosen = named_columns(table, given)
    missing = [what for what in needed if what not in chosen]
    if missing:
        example = ",".join(f"{what}=COLUMN" for what in missing)
        if "image" in missing and "image" not in given:
            example += f", or of texts --columns={example.replace('image', 'text')}"
        raise DataError(
            f"{table.name}: expected the header path,label[,split] or columns that mean these. Received "
            f"{','.join(table.columns) or 'an empty file'}. Name the columns: --columns={example}; or add the header."
        )
    table.require_unique(chosen.values())
    unusual = [
        f"{what} from {chosen[what]}" for what in needed if plain_name(chosen[what]) not in (what, NAMES[what][0])
    ]
    unusual = [note for note in unusual if note.split()[0] not in given]
    notes = [f"columns: {', '.join(unusual)}"] if unusual else []
    others = [name for name in table.columns if plain_name(name) in NAMES["label"] and name not in chosen.values()]
    if others and "label" in needed and "label" not in given:
        notes.append(
            f"labels are from {chosen['label']}, not from {', '.join(others)}; --columns=label={others[0]} changes that"
        )
    return chosen, notes


def names_texts(columns: Sequence[str], given: Mapping[str, str]) -> bool:
    """Returns whether a header is that of a table of texts: it has a column of texts and one of labels, and none of files.

    Args:
      columns: Names of the columns.
      given: The user's names of columns, by what they hold.
    """
    names = {plain_name(name) for name in columns}
    if "image" in given or given.get("text") == "none":
        return False
    texts, labels = ({plain_name(given.get(what, ""))} - {""} or set(NAMES[what]) for what in ("text", "label"))
    files = set(NAMES["image"]) - set(_IDS)
    return bool(names & texts) and ("text" in given or (bool(names & labels) and not names & files))


def named_columns(table: Table, given: Mapping[str, str]) -> dict[str, str]:
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
            f"{table.name}: expected the column {name}, as --columns={what}={name} says. Received {received}. "
            f"{nearest(name, table.columns) or 'Name one of them.'}".rstrip()
        )
    return matches[0]


def read_splits(table: Table, chosen: dict[str, str], options: SourceOptions) -> tuple[list[str], list[str]]:
    """Returns the split of every row, and remarks."""
    given, asked = options.meanings, "split" in options.column_names
    notes: list[str] = []
    column = chosen.get("split")
    if column is None and not asked:
        used = set(chosen.values())
        column = next((name for name in table.columns if name not in used and _holds_splits(table, name)), None)
    if column is None:
        return [""] * len(table.rows), notes
    table.require_unique([column])
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


def folder_of_images(table: Table, folders: Sequence[str]) -> str | None:
    """Returns which folder holds the first image of a table: empty if its path needs none, None if it is in none of them.

    Args:
      table: The table; its columns are found by their names.
      folders: Paths of the folders in question.
    """
    column = named_columns(table, {}).get("image")
    if column is None or not table.rows:
        return None
    first = table.column(column)[0]
    return "" if folder_with(first, [table.folder]) else folder_with(first, folders)


def _in_words(label: Sequence[float], names: Sequence[str], kind: LabelKind) -> str:
    """Returns the names of the labels of an image, with a question mark those that are not known, or its numbers."""
    if kind != "labels":
        return " ".join(f"{value:g}" for value in label)
    marks: dict[float, str] = {1: "", -1: "?"}
    has = [f"{name}{marks[value]}" for name, value in zip(names, label, strict=True) if value in marks]
    return ";".join(has) or "none of the labels"


def _meanings(labels: Sequence[str], splits: Sequence[str], groups: Sequence[str], column: str) -> list[str]:
    """Returns what a table says of each image, such as "cat in test of patient 7"."""
    return [
        f"{label}{split and f' in {split}'}{group and f' of {column} {group}'}"
        for label, split, group in zip(labels, splits, groups, strict=True)
    ]


def _first_rows(
    table: Table,
    kept: Sequence[int],
    ids: Sequence[str],
    paths: Sequence[str],
    meanings: Sequence[str],
    *,
    remedy: str,
) -> tuple[list[int], list[str]]:
    """Returns the indices of the rows that are the first of their image, and a note on the others.

    Args:
      table: The table.
      kept: Indices of the rows that are used.
      ids: Names of the images in the table.
      paths: Paths of the images.
      meanings: Label, split and group of each image.
      remedy: Words on what to do where two rows disagree.

    Raises:
      DataError: Two rows of one image disagree.
    """
    first_of: dict[Any, int] = {}
    repeated = []
    for index in kept:
        first = first_of.setdefault(identity(paths[index]), index)
        if first == index:
            continue
        if meanings[first] != meanings[index]:
            raise DataError(
                f"{table.name} line {table.lines[index]}: expected one row for each image. Received "
                f"{ids[index]} as {meanings[index]}, "
                f"and {ids[first]}, the same file, in line {table.lines[first]} as {meanings[first]}. {remedy}"
            )
        repeated.append(index)
    if not repeated:
        return list(kept), []
    first = repeated[0]
    note = f"rows that repeat an image, left out: {len(repeated)}, the first is line {table.lines[first]}, {ids[first]}"
    left_out = set(repeated)
    return [index for index in kept if index not in left_out], [note]


def plain_name(name: str) -> str:
    """Returns a name of a column without case and separators."""
    return re.sub(r"[\W_]+", "", name.lower())
