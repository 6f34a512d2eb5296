"""Detects labels that are probably not single labels: several labels, numbers; imports no TensorFlow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tl_keras.data.table_labels import SEPARATORS
from tl_keras.errors import DataError

_FEW_EXAMPLES = 3
# Number of distinct values up to which they may be classes with an image or two each.
_MANY_VALUES = 20
_ASKED = "Where each is one class all the same, use --task=single_label."


def require_single_labels(name: str, class_names: Sequence[str], counts: Sequence[int]) -> None:
    """Refuses labels that look like several labels, like numbers, or like names of single images.

    Args:
      name: Name of the source, for the message.
      class_names: The distinct labels.
      counts: Number of images of each label.

    Raises:
      DataError: The labels look like something else.
    """
    used = {label: count for label, count in zip(class_names, counts, strict=True) if count}
    separator = _separator_of_labels(list(used))
    if separator is not None:
        example = next(label for label in used if separator in label)
        raise DataError(
            f"{name}: expected one label per image. Received labels such as {example!r}, which look like several, separated by "
            f"{separator!r}. To learn several labels of an image, use --task=multi_label. {_ASKED}"
        )
    images = sum(used.values())
    if _are_numbers(list(used), images):
        shown = ", ".join(list(used)[:3])
        raise DataError(
            f"{name}: expected labels that are classes. Received {len(used)} numbers for {images} images, such as {shown}, "
            f"which look like something measured. To learn numbers, use --task=regression. {_ASKED}"
        )
    if len(used) > _MANY_VALUES and images < 2 * len(used):
        raise DataError(
            f"{name}: expected several images of each class. Received {len(used)} labels for {images} images, such as "
            f"{next(iter(used))!r}: is this the column of labels? Name another with --columns=label=COLUMN. {_ASKED}"
        )


def _separator_of_labels(labels: list[str]) -> str | None:
    for separator in SEPARATORS:
        parts = [tuple(part.strip() for part in label.split(separator)) for label in labels]
        uses = Counter(part for several in parts for part in set(several))
        # In "tench, Tinca tinca" no part occurs in another label.
        if any(len(several) > 1 and sum(uses[part] > 1 for part in several) > len(several) / 2 for several in parts):
            return separator
    several = [frozenset(label.split()) for label in labels]
    words = frozenset().union(*several)
    # "black cat" and "white dog" are classes; "clear primary road" and "clear road water" are tags in all combinations.
    if len(labels) > _MANY_VALUES and len(set(several)) >= 2 * len(words):
        return " "
    return None


def _are_numbers(labels: list[str], images: int) -> bool:
    number = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?", re.IGNORECASE)
    if len(labels) <= _MANY_VALUES / 2 or not all(number.fullmatch(label.strip()) for label in labels):
        return False
    fractions = any(re.search(r"[.,]\d*[1-9]", label) for label in labels)
    return fractions or (len(labels) > _MANY_VALUES and images < _FEW_EXAMPLES * len(labels))
