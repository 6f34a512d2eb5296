"""Finds the files of a set that is spread over several, the splits that their names declare, and the names of its classes."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tl_keras.data.base import encode_classes
from tl_keras.data.options import SourceOptions
from tl_keras.data.split_names import split_of_name
from tl_keras.errors import DataError


def matching_files(pattern: str) -> list[Path]:
    """Returns the files that match a pattern; brackets that belong to a name need no escape."""
    if os.path.isfile(pattern):
        return [Path(pattern)]
    for written in (pattern, pattern.replace("[", "[[]")):
        files = [Path(file) for file in sorted(glob.glob(written, recursive=True)) if Path(file).is_file()]
        if files:
            return files
    return []


def splits_of_files(name: str, files: list[Path], options: SourceOptions) -> tuple[dict[Path, str], list[str]]:
    """Returns the split that each file declares, empty if none, and a note on files that are not used."""
    splits = {file: options.meanings.get(file.name.lower()) or _split_of_file(file) for file in files}
    silent = [file.name for file, split in splits.items() if not split]
    if silent and len(silent) < len(files):
        raise DataError(
            f"{name}: expected a split, such as train or test, in the name of every file or of none. Received none in "
            f"{', '.join(silent[:10])}. Say what they are: --splits={','.join(f'{file}=train' for file in silent[:10])}."
        )
    unused = [file.name for file, split in splits.items() if split == "unused"]
    return splits, [f"files left out: {', '.join(unused)}"] if unused else []


def name_classes(name: str, names_file: Path, labels: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the class names and the position of every label among them, int64 (n,)."""
    if labels.dtype == object:
        labels = np.array([os.fsdecode(label) if isinstance(label, bytes) else str(label) for label in labels])
    class_names = read_names(names_file)
    if not class_names:
        return encode_classes([str(label) for label in labels])
    if labels.dtype.kind == "i":
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(
                f"{name}: expected labels from 0 to {len(class_names) - 1}, for the {len(class_names)} names in "
                f"{names_file}. Received {labels.min()} to {labels.max()}. Correct {names_file.name}."
            )
        return class_names, labels
    found, positions = encode_classes(labels.tolist())
    unknown = sorted(set(found) - set(class_names))
    if unknown:
        raise DataError(
            f"{name}: expected labels among the names in {names_file}. Received {', '.join(unknown)}. "
            f"Add them to {names_file.name} or remove it."
        )
    return class_names, np.array([class_names.index(label) for label in found])[positions]


def read_names(names_file: Path) -> tuple[str, ...]:
    """Returns the names in a file, one per line; none if there is no such file.

    Raises:
      DataError: The file is not in UTF-8, or has an empty line between names, whose classes it would move.
    """
    if not names_file.is_file():
        return ()
    raw = names_file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{names_file} line {raw.count(10, 0, error.start) + 1}: expected names in UTF-8. "
            "Received other bytes. Save it as UTF-8."
        ) from error
    names = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    if "" in names:
        raise DataError(
            f"{names_file} line {names.index('') + 1}: expected a name in each line. Received an empty one. Remove it, or name the "
            "class."
        )
    return tuple(names)


def ids_of_files(files: Sequence[Path], keys_of_file: Iterable[Iterable[object]]) -> list[str]:
    """Returns the id of each image: the file that it is in, below the folder that all files share, and its key there.

    Args:
      files: The files.
      keys_of_file: For each of them, the names or the positions of its images.
    """
    parent = os.path.commonpath([file.parent for file in files])
    return [
        f"{file.relative_to(parent).as_posix()}:{key}"
        for file, keys in zip(files, keys_of_file, strict=True)
        for key in keys
    ]


def _split_of_file(file: Path) -> str:
    """Returns the split that a file name such as `train-00003-of-00010.tfrecord` declares, or empty."""
    words = [word for word in re.split("[^a-z]+", file.name.lower()) if word]
    # Splits train-00003, seg_train and training_set into their words.
    splits = {split_of_name(word) for word in words} - {""}
    return splits.pop() if len(splits) == 1 else ""
