"""Reads texts in class folders: `DIR/CLASS/**/*.txt`, or `DIR/{train,val,test}/CLASS/**/*.txt`; imports no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tl_keras.console import number_of
from tl_keras.data.image_files import FileKind, read_tree
from tl_keras.data.split_names import splits_of_names
from tl_keras.data.table import Table
from tl_keras.data.text_encoding import decode_text
from tl_keras.errors import DataError

SUFFIX = ".txt"
_MOST_BYTES = 2**20  # far more than any teacher reads of a text
_NAMES_SHOWN = 10
_LOOSE = "texts in no class folder"
_TEXTS = FileKind(by_name=lambda name: name.lower().endswith(SUFFIX), by_content=lambda path: False)


def read_text_folder(directory: str, splits: Mapping[str, str] | None = None) -> tuple[Table, list[str]]:
    """Reads the texts below a folder.

    Args:
      directory: Path of the folder.
      splits: Splits that the user gives to folders of other names. With an empty mapping no folder is a split; with None known
        names are.

    Returns:
      A table with the columns text, label and split, and the path of each text below the folder.

    Raises:
      DataError: There are no texts in class folders, or some folders are splits and others are not.
    """
    tree, others = read_tree(directory, kind=_TEXTS)
    left_out = Counter({"other files": total} if (total := others.other_files.total()) else {})
    others.other_files.clear()  # whose note is of images
    source = f"txt:{directory}"
    meant = {} if splits == {} else _meanings(source, [folder.name for folder in tree.filled], splits or {})
    rows, paths = [], []
    guessed: dict[str, list[str]] = {}
    for name in sorted(tree.all_images()):
        path, parts = Path(directory, name), name.split("/")
        split = meant.get(parts[0], "") if len(parts) > 1 else ""
        inner = parts[1:] if split else parts
        if split == "unused":
            left_out["texts in folders that are to be left out"] += 1
        elif len(inner) < 2:
            left_out[_LOOSE] += 1
        elif (content := _start_of(path)) is None:
            left_out["texts that cannot be read"] += 1
        elif len(content) > _MOST_BYTES:
            left_out[f"files of more than {_MOST_BYTES:,} bytes"] += 1
        else:
            text, read_as = decode_text(content)
            if read_as:
                guessed.setdefault(read_as, []).append(name)
            rows.append([text.strip(), inner[0], split])
            paths.append(name)
    if not rows:
        received = f"{number_of(left_out[_LOOSE], 'text')} in no class folder" if left_out[_LOOSE] else "no such file"
        raise DataError(
            f"{source}: expected texts in class folders, {directory}/CLASS/*{SUFFIX}. Received {received}. Put the texts of each "
            "class into a folder of its name, or use a table: csv:FILE with the columns text and label."
        )
    notes = [f"{reason}, left out: {count}" for reason, count in left_out.items()]
    notes += [
        f"texts that are not UTF-8, read as {read_as}: {len(names)}, the first is {names[0]}; save them so if words look wrong"
        for read_as, names in guessed.items()
    ]
    notes += others.notes()
    return Table(
        source, ["text", "label", "split"], rows, range(1, len(rows) + 1), directory, notes=tuple(notes)
    ), paths


def _start_of(path: Path) -> bytes | None:
    """Returns a file, or a byte more of it than is read; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except OSError:
        return None


def _meanings(source: str, names: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """Returns the meanings of the folders that hold texts and are splits or are to be left out; other folders are classes.

    Raises:
      DataError: Folders of texts beside the splits are none, or there is no train folder among them.
    """
    meant = splits_of_names(names, given)
    unused = {name: split for name, split in meant.items() if split == "unused"}
    used = {name: split for name, split in meant.items() if split not in ("", "unused")}
    unknown = [name for name in names if not meant[name]]
    asked = any(given.get(name) or given.get(name.lower()) for name in used)
    if unknown and (asked or len(set(used.values())) > 1):
        known, others = (", ".join(some[:_NAMES_SHOWN]) for some in (list(used), unknown))
        raise DataError(
            f"{source}: expected class folders, or train, val and test folders of them. Received both: {known} beside {others}. "
            "Move the others away, or say what they are: "
            f"--splits={','.join(f'{name}=unused' for name in unknown[:_NAMES_SHOWN])}."
        )
    if unknown or not used:  # one name of a split among others is a class
        return unused
    if "train" not in used.values():
        first = next(iter(used))
        raise DataError(
            f"{source}: expected a train folder beside {first}. Received none. To use the classes inside, name "
            f"{source}/{first} itself."
        )
    return meant
