"""Recognises the names that people give to splits; imports no TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tl_keras.errors import DataError

_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validate", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst"),
}
# Words beside a split's name without a meaning of their own: seg_train, training_set, test_images, train2017.
_BESIDE = "(?:seg|segmented|set|sets|data|dataset|image|images|img|imgs|photo|photos|picture|pictures|pics|split|folder|file|files)"
_PATTERNS = {split: re.compile(f"{_BESIDE}*(?:{'|'.join(words)}){_BESIDE}*[0-9]*") for split, words in _WORDS.items()}
_EVALUATION = re.compile(f"{_BESIDE}*eval(?:uation)?{_BESIDE}*[0-9]*")

# Meanings that a user can give to another name; images of an unused split are left out.
MEANINGS = ("train", "validation", "test", "unused")


def split_of_name(name: str) -> str:
    """Returns `train`, `validation` or `test` for a name that means it in any case and form, else an empty string."""
    joined = _joined(name)
    return next((split for split, pattern in _PATTERNS.items() if pattern.fullmatch(joined)), "")


def splits_of_names(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Returns the split that each of some names means, empty if none.

    `eval` means validation, unless another name does: then it means test, as in training, validation, evaluation.

    Args:
      names: Names that occur together, such as those of neighbouring folders.
      given: Meanings from the user, which take precedence.
    """
    names = list(names)
    said = {name: given.get(name) or given.get(name.lower()) for name in names}
    found = {name: said[name] or split_of_name(name) for name in names}
    evaluations = {name for name in names if not said[name] and _EVALUATION.fullmatch(_joined(name))}
    others = {split for name, split in found.items() if name not in evaluations}
    if "validation" in others and "test" not in others:
        found |= dict.fromkeys(evaluations, "test")
    return found


def parse_split(name: str, *, where: str) -> str:
    """Returns `train`, `validation`, `test` or empty for a name of a split.

    Args:
      name: Name that means a split, such as train, val or Testing; or empty.
      where: Place that the error names, for example "photos.csv line 3".

    Raises:
      DataError: The name means none of them.
    """
    split = split_of_name(name)
    if name.strip() and not split:
        raise DataError(
            f"{where}: expected a split, such as train, val or test, or empty. Received: {name}. "
            f"Say what it means: --splits={name}=train."
        )
    return split


def _joined(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
