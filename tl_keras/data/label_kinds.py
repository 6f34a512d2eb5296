"""Takes labels of one kind for another where that is possible, such as classes that are numbers for numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from tl_keras.config.choices import LabelKind
from tl_keras.data.labelling import labelling_of, shown
from tl_keras.errors import DataError, nearest

_KINDS: dict[LabelKind, str] = {
    "class": "one class",
    "order": "one class of an order",
    "labels": "several labels",
    "numbers": "numbers",
}


def as_kind(
    name: str, class_names: Sequence[str], labels: np.ndarray, kind: LabelKind
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns names and labels of another kind, where one class per image can be taken for it.

    Args:
      name: Name of the source, for the message.
      class_names: Names of the classes, labels or columns.
      labels: Labels of some kind.
      kind: Kind that is needed: a class is one label of several, and classes called by numbers are numbers; labels of which
        each image has one are classes.

    Raises:
      DataError: They cannot be.
    """
    found = labelling_of(labels)
    if found.kind == kind:
        return tuple(class_names), labels
    if found.kind == "class" and kind == "labels":
        return tuple(class_names), np.eye(len(class_names), dtype=np.int64)[labels]
    if found.kind == "labels" and kind == "class" and ((labels == 1).sum(axis=1) == 1).all():
        return tuple(class_names), labels.argmax(axis=1)  # one-hot rows
    if found.kind == "class":
        values = np.array([_number(each) for each in class_names])
        if not np.isfinite(values).all():
            other = class_names[int(np.argmin(np.isfinite(values)))]
            raise DataError(
                f"{name}: expected numbers. Received classes such as {other!r}. Leave --task=regression out, or give numbers: "
                "--columns=label=COLUMN."
            )
        return ("value",), values[labels][:, np.newaxis]
    task = {"labels": "multi_label", "numbers": "regression"}[found.kind]
    raise DataError(
        f"{name}: expected {_KINDS[kind]} per image. Received {_KINDS[found.kind]}. Use --task={task}, or other labels."
    )


def _number(class_name: str) -> float:
    """Returns the number that a class is called by, which may have a decimal comma; not a number for any other name."""
    try:
        return float(class_name.replace(",", "."))
    except ValueError:
        return math.nan


def in_declared_order(
    name: str, class_names: Sequence[str], labels: np.ndarray, declared: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names of classes in their order, and the labels as positions in it.

    Args:
      name: Name of the source, for the message.
      class_names: Names of the classes.
      labels: int64 (n,).
      declared: Names in their order, separated by commas; empty if they are numbers, or tell one, such as `stage 2`.

    Raises:
      DataError: The order is not told, or names other classes.
    """
    class_names, labels = as_kind(name, class_names, labels, "class")
    if declared:
        order = tuple(part.strip() for part in declared.split(","))
        if sorted(order) != sorted(class_names):
            unknown = next((each for each in order if each not in class_names), "")
            meant = nearest(unknown, class_names) if unknown else ""
            raise DataError(
                f"{name}: expected each of the classes {','.join(class_names)} once in their order. Received: {declared}. {meant}"
                "Correct --class_order."
            )
    else:
        order = tuple(sorted(class_names, key=_number_in(name, class_names)))
    return order, np.array([order.index(each) for each in class_names], np.int64)[labels]


def _number_in(name: str, class_names: Sequence[str]) -> Callable[[str], float]:
    """Returns a function from the name of a class to its number: `3`, or `stage 3` where the names differ in nothing else.

    Raises:
      DataError: The names hold no such numbers.
    """
    try:
        numbers = {each: float(each) for each in class_names}
    except ValueError:
        numbers = {}
    if not numbers or not all(
        map(math.isfinite, numbers.values())
    ):  # nan, as programs write a missing label, has no place
        parts = {each: re.fullmatch(r"(\D*)(\d+)(\D*)", each) for each in class_names}
        around = {part and part.group(1, 3) for part in parts.values()}
        if None in around or len(around) > 1:
            raise DataError(
                f"{name}: expected classes that have an order. Received {shown(class_names)}, which are no numbers. Name all of "
                "them from the lowest to the highest: --class_order='LOWEST,...,HIGHEST'."
            )
        numbers = {each: float(part.group(2)) for each, part in parts.items() if part}
    return numbers.__getitem__
