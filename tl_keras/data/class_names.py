"""Finds class names that look like one and the same; imports no TensorFlow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# What pandas, R, Excel and SQL write for a missing value; `pandas.read_csv` reads all of these as missing.
_MISSING = {"", "nan", "-nan", "na", "n/a", "<na>", "#n/a", "null", "none"}


def alike(class_names: Iterable[str]) -> list[str]:
    """Returns "Cat and cat" for names that differ only in case, Unicode form, spaces, separators or leading zeros."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(class_names):
        groups.setdefault(_plain(name), []).append(name)
    return [" and ".join(map(repr, names)) for names in groups.values() if len(names) > 1]


def as_missing(class_names: Iterable[str]) -> list[str]:
    """Returns the names that programs write where a label is missing, such as nan."""
    return [name for name in class_names if name.strip().lower() in _MISSING]


def is_missing(value: Any) -> bool:
    """Returns whether a value says that there is none: None, not a number (NaN), or pandas' NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas does not tell whether NA differs from itself
        return True


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"\b0+(?=[0-9])", "", re.sub(r"[\s_-]+", " ", folded).strip())
