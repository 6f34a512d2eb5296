"""Reads labels that are lists or vectors, one per image: several labels, or numbers. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.config.choices import LabelKind
from tl_keras.console import number_of
from tl_keras.data.labelling import UNKNOWN
from tl_keras.errors import DataError


def encode_rows(
    name: str, rows: Sequence[Any], kind: LabelKind, names: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names and labels of images each of which has a list or a vector.

    Args:
      name: Name of the source, for messages.
      rows: For each image a list of the names of its labels, or of their positions; a vector of 1, 0 and -1 (not known) with an
        entry for each label; or numbers.
      kind: Kind of labels that the task learns.
      names: Names of the labels by their positions, or of the numbers; empty if they have none.

    Returns:
      Names, and numbers float64 (n, columns) if they are learnt, else int64 (n, labels) of 1, 0 and -1.

    Raises:
      DataError: The rows are of different length where they may not be, or have another number of entries than there are names.
    """
    vectors = _vectors(rows)
    if kind == "numbers":
        if vectors is None or not np.isfinite(vectors).all():
            other = next((row for row in rows if not _are_numbers(row, np.size(rows[0]))), rows[0])
            raise DataError(
                f"{name}: expected the same count of numbers for each image. Received others, such as "
                f"{np.ravel(other).tolist()!s:.60}. Correct them."
            )
        return _require_names(name, names or _numbered(vectors.shape[1], "value"), vectors), vectors
    if vectors is not None and are_marks(vectors):
        marks = np.where(np.isnan(vectors), UNKNOWN, vectors).astype(np.int64)
        return _require_names(name, names or _numbered(marks.shape[1], ""), marks), marks
    lists = ((_text(value) for value in np.ravel(row).tolist()) for row in rows)
    # Shorter lists are filled with empty texts.
    return _listed(name, [[text for text in texts if text] for texts in lists], names)


def are_marks(vectors: np.ndarray) -> bool:
    """Returns whether vectors, float64 (n, k), mark for each label whether an image has it.

    They hold 1, 0, and -1 or not a number for not known. As lists of positions, all would name both labels 0 and 1.
    """
    return vectors.shape[1] > 1 and bool((np.isnan(vectors) | np.isin(vectors, (0, 1, UNKNOWN))).all())


def _vectors(rows: Sequence[Any]) -> np.ndarray | None:
    """Returns rows of numbers of one length as float64 (n, k); None if they are something else."""
    if len({np.size(row) for row in rows}) != 1:
        return None
    stacked = np.stack([np.ravel(row) for row in rows])
    return stacked.astype(np.float64) if stacked.dtype.kind in "biuf" and stacked.shape[1] else None


def _listed(name: str, lists: list[list[str]], names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the matrix of lists of names, or of positions among the names that are given."""
    found = {each for texts in lists for each in texts}
    if names and found and all(each.isdecimal() for each in found) and not found <= set(names):
        if (last := max(map(int, found))) >= len(names):
            raise DataError(
                f"{name}: expected labels from 0 to {len(names) - 1}, for {len(names)} names. Received {last}. Add the names, or "
                "correct the labels."
            )
        lists = [[names[int(each)] for each in texts] for texts in lists]
    elif names and (unknown := sorted(found - set(names))):
        raise DataError(
            f"{name}: expected labels among {', '.join(names[:20])}. Received {', '.join(unknown[:5])}. Add the names, or correct "
            "the labels."
        )
    known = tuple(names or sorted(found, key=_by_number(found)))
    if not known:
        raise DataError(
            f"{name}: expected labels. Received none in {number_of(len(lists), 'list')}. Add images that have one."
        )
    columns = {each: column for column, each in enumerate(known)}
    matrix = np.zeros((len(lists), len(known)), np.int64)
    for row, texts in enumerate(lists):
        matrix[row, [columns[each] for each in texts]] = 1
    return known, matrix


def _by_number(found: set[str]) -> Any:
    return int if all(each.isdecimal() for each in found) else str


def _require_names(name: str, names: Sequence[str], vectors: np.ndarray) -> tuple[str, ...]:
    if len(names) != vectors.shape[1]:
        raise DataError(
            f"{name}: expected a name for each of {vectors.shape[1]} columns of labels. Received {len(names)}. Name all of them."
        )
    return tuple(names)


def _numbered(count: int, prefix: str) -> list[str]:
    return ["value"] if prefix and count == 1 else [f"{prefix}{number}" for number in range(count)]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value).strip()


def _are_numbers(row: Any, count: int) -> bool:
    """Returns whether a row has so many numbers."""
    values = np.ravel(row)
    return len(values) == count and values.dtype.kind in "biuf" and bool(np.isfinite(values).all())
