"""Knows what the labels of images may be, whatever is learnt from them: one class, several labels or none, or numbers.

```
Labelling
├── OneClass      int64 (n,), positions among the class names
├── SeveralLabels int64 (n, labels), 1, 0 or -1 where it is not known whether the image has the label
└── Numbers       float64 (n, columns)
```
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from tl_keras.config.choices import LabelKind
from tl_keras.console import number_of
from tl_keras.errors import DataError, nearest

UNKNOWN = -1
_NAMES_SHOWN = 10
_FEW_IMAGES = 5
_IMBALANCE = 10
# Number of strata into which images are divided by their first number.
_STRATA = 10
# Number of interquartile ranges from the quartiles beyond which a number is far out (Tukey 1977).
_FAR_OUT = 3.0


class Labelling(abc.ABC):
    """What is done with the labels of a source before anything is learnt.

    Attributes:
      kind: Kind of the labels.
    """

    kind: ClassVar[LabelKind]

    @abc.abstractmethod
    def require_enough(self, name: str, class_names: Sequence[str], labels: np.ndarray, *, why: str) -> None:
        """Raises a DataError if there is nothing to learn.

        Args:
          name: Name of the source.
          class_names: Names of the classes, labels or columns.
          labels: Labels of the images that can be decoded.
          why: Words on images that cannot be decoded, for the message; empty if all can.

        Raises:
          DataError: All images have the same label.
        """

    @abc.abstractmethod
    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Returns the stratum of each image, int64 (n,); splits take the same share of each."""

    def contradict(self, labels: np.ndarray) -> bool:
        """Returns whether the labels of copies of one image cannot all be right."""
        return len(np.unique(labels, axis=0)) > 1

    @abc.abstractmethod
    def not_trained(self, held_out: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Returns the positions of classes, int64 (k,), that held-out images have and training images lack.

        Args:
          held_out: Labels of the images of validation and test.
          train: Labels of the training images.
        """

    @abc.abstractmethod
    def findings(self, class_names: Sequence[str], labels: np.ndarray) -> Iterable[str]:
        """Yields a sentence for each remarkable fact about the labels."""

    @abc.abstractmethod
    def text(self, label: np.ndarray, class_names: Sequence[str]) -> str:
        """Returns the label of one image as a table has it."""

    @abc.abstractmethod
    def columns(self, class_names: Sequence[str]) -> list[str]:
        """Returns the columns of a table from which the labels are read again."""

    @abc.abstractmethod
    def cells(self, label: np.ndarray, class_names: Sequence[str]) -> list[str]:
        """Returns the cells of one image in `columns`."""

    @abc.abstractmethod
    def members(self, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the positions of the images of each class or label by its name; numbers have none."""

    @abc.abstractmethod
    def count(self, class_names: Sequence[str]) -> str:
        """Returns the number of classes, labels or numbers in words."""

    def in_order_of(self, labels: np.ndarray, class_names: Sequence[str], model_names: Sequence[str]) -> np.ndarray:
        """Returns labels as a model has them.

        Args:
          labels: Labels as the source has them.
          class_names: Names of the source.
          model_names: Names of the model.

        Raises:
          DataError: The model lacks a name of the source.
        """
        columns = {name: column for column, name in enumerate(model_names)}
        if unknown := next((name for name in class_names if name not in columns), None):
            raise DataError(
                f"data: expected the model's classes ({', '.join(model_names[:20])}). Received: {unknown}. "
                f"{nearest(unknown, columns)}".strip()
            )
        return self._moved(labels, np.array([columns[name] for name in class_names], np.int64), len(model_names))

    @abc.abstractmethod
    def _moved(self, labels: np.ndarray, positions: np.ndarray, names: int) -> np.ndarray:
        """Returns labels in which each name of the source has another position, int64 (k,), among so many names."""


class OneClass(Labelling):
    """One class per image."""

    kind: ClassVar[LabelKind] = "class"

    def require_enough(self, name: str, class_names: Sequence[str], labels: np.ndarray, *, why: str) -> None:
        """Implements `Labelling.require_enough`: at least two classes."""
        found = [class_names[label] for label in np.unique(labels).tolist()]
        if len(found) < 2:
            received = f"only {found[0]}" if found else "none"
            raise DataError(
                f"{name}: expected images of at least two classes. Received {received}{why}. Add images of another class."
            )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Implements `Labelling.strata`: the class."""
        return labels

    def not_trained(self, held_out: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Implements `Labelling.not_trained`."""
        return np.setdiff1d(held_out, train)

    def findings(self, class_names: Sequence[str], labels: np.ndarray) -> Iterable[str]:
        """Implements `Labelling.findings`: classes of few images, and imbalance."""
        counts = np.bincount(labels, minlength=len(class_names))
        few = [f"{class_names[label]} ({counts[label]})" for label in np.flatnonzero(counts < _FEW_IMAGES).tolist()]
        if few:
            yield f"classes with fewer than {_FEW_IMAGES} images: {shown(few)}"
        smallest = int(np.argmin(np.where(counts > 0, counts, counts.max())))
        largest = int(np.argmax(counts))
        if counts[largest] > _IMBALANCE * counts[smallest]:
            yield (
                f"the classes are imbalanced: {counts[largest]} of {class_names[largest]}, "
                f"{counts[smallest]} of {class_names[smallest]}"
            )

    def text(self, label: np.ndarray, class_names: Sequence[str]) -> str:
        """Implements `Labelling.text`: the name of the class."""
        return class_names[int(label)]

    def columns(self, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.columns`."""
        return ["label"]

    def cells(self, label: np.ndarray, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.cells`."""
        return [class_names[int(label)]]

    def members(self, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Implements `Labelling.members`."""
        return {name: np.flatnonzero(labels == label) for label, name in enumerate(class_names)}

    def count(self, class_names: Sequence[str]) -> str:
        """Implements `Labelling.count`."""
        return number_of(len(class_names), "class")

    def _moved(self, labels: np.ndarray, positions: np.ndarray, names: int) -> np.ndarray:
        return positions[labels]


class SeveralLabels(Labelling):
    """Any number of labels per image, none included; it may be unknown whether an image has a label."""

    kind: ClassVar[LabelKind] = "labels"

    def require_enough(self, name: str, class_names: Sequence[str], labels: np.ndarray, *, why: str) -> None:
        """Implements `Labelling.require_enough`: a label that some images have and others have not."""
        if not _occurs_and_lacks(labels).any():
            raise DataError(
                f"{name}: expected a label that some images have and others have not. Received none{why}. Add images."
            )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Implements `Labelling.strata`: the label by which iterative stratification would place an image.

        As in Sechidis et al. 2011, the label with the fewest images left is dealt next, with all its images; images without
        any label are dealt last.
        """
        has, strata = labels == 1, np.full(len(labels), labels.shape[1], np.int64)
        left, counts = has.any(axis=1), has.sum(axis=0)
        while left.any():
            rarest = int(np.argmin(np.where(counts > 0, counts, len(labels) + 1)))
            dealt = left & has[:, rarest]
            strata[dealt] = rarest
            left &= ~dealt
            counts -= has[dealt].sum(axis=0)
        return strata

    def contradict(self, labels: np.ndarray) -> bool:
        """Implements `Labelling.contradict`: one has a label that another lacks; what is not known contradicts nothing."""
        return bool(_occurs_and_lacks(labels).any())

    def not_trained(self, held_out: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Implements `Labelling.not_trained`."""
        return np.flatnonzero((held_out == 1).any(axis=0) & ~(train == 1).any(axis=0))

    def findings(self, class_names: Sequence[str], labels: np.ndarray) -> Iterable[str]:
        """Implements `Labelling.findings`: labels that never or always occur, few examples, and labels that imply others."""
        has, known = (labels == 1).sum(axis=0), (labels != UNKNOWN).sum(axis=0)
        for what, of_label in (
            ("that no image has, so that they cannot be learnt", has == 0),
            ("that every image has, so that they cannot be learnt", (has == known) & (has > 0)),
            (f"that fewer than {_FEW_IMAGES} images have", (has > 0) & (has < _FEW_IMAGES)),
            (f"that fewer than {_FEW_IMAGES} images lack", (known - has > 0) & (known - has < _FEW_IMAGES)),
        ):
            if of_label.any():
                yield f"labels {what}: {shown([class_names[label] for label in np.flatnonzero(of_label).tolist()])}"
        if none := int((labels == 0).all(axis=1).sum()):
            yield f"images with none of the labels: {none} of {len(labels)}"
        if open_ := int(((labels != 1).all(axis=1) & (labels == UNKNOWN).any(axis=1)).sum()):
            yield f"images of which no label is known to be there, and some are not known: {open_} of {len(labels)}"
        if (unknown := labels.size - int(known.sum())) > 0:
            yield f"labels that are not known, and take no part in training and measures: {unknown:,} of {labels.size:,}"
        if implied := _implications(class_names, labels):
            yield f"labels that imply each other: {shown(implied)}"

    def text(self, label: np.ndarray, class_names: Sequence[str]) -> str:
        """Implements `Labelling.text`: the names of the labels that the image has; unknown ones with a question mark."""
        names = [name for name, value in zip(class_names, label.tolist(), strict=True) if value == 1]
        return ";".join([*names, *(f"{class_names[i]}?" for i in np.flatnonzero(label == UNKNOWN).tolist())])

    def columns(self, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.columns`: one of 0 and 1 for each label."""
        return list(class_names)

    def cells(self, label: np.ndarray, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.cells`."""
        return ["?" if value == UNKNOWN else str(value) for value in label.tolist()]

    def members(self, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Implements `Labelling.members`."""
        return {name: np.flatnonzero(labels[:, label] == 1) for label, name in enumerate(class_names)}

    def count(self, class_names: Sequence[str]) -> str:
        """Implements `Labelling.count`."""
        return number_of(len(class_names), "label")

    def _moved(self, labels: np.ndarray, positions: np.ndarray, names: int) -> np.ndarray:
        moved = np.full((len(labels), names), UNKNOWN, np.int64)  # of labels that the source lacks nothing is known
        moved[:, positions] = labels
        return moved


class Numbers(Labelling):
    """One number per image, or several."""

    kind: ClassVar[LabelKind] = "numbers"

    def require_enough(self, name: str, class_names: Sequence[str], labels: np.ndarray, *, why: str) -> None:
        """Implements `Labelling.require_enough`: at least two different numbers in each column."""
        for column, values in zip(class_names, labels.T, strict=True):
            if len(np.unique(values)) < 2:
                received = f"only {values[0]:g}" if len(values) else "none"
                raise DataError(
                    f"{name}: expected different numbers in {column}. Received {received}{why}. Leave that column out."
                )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Implements `Labelling.strata`: the tenth of the images in order of the first number."""
        order = np.argsort(labels[:, 0], kind="stable")
        ranks = np.empty(len(labels), np.int64)
        ranks[order] = np.arange(len(labels))
        return ranks * min(_STRATA, max(1, len(labels) // _STRATA)) // len(labels)

    def not_trained(self, held_out: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Implements `Labelling.not_trained`: none."""
        return np.empty(0, np.int64)

    def findings(self, class_names: Sequence[str], labels: np.ndarray) -> Iterable[str]:
        """Implements `Labelling.findings`: the range of each column, and numbers far from all others."""
        for column, values in zip(class_names, labels.T, strict=True):
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
            lowest, highest, median = (_in_six_digits(value) for value in (values.min(), values.max(), middle))
            yield f"{column}: {lowest} to {highest}, median {median}"
            reach = _FAR_OUT * (high - low)
            far = values[(values < low - reach) | (values > high + reach)]
            if reach > 0 and len(far):
                shown_of_them = np.unique(far)[:_NAMES_SHOWN]
                which = ", such as" if len(far) > len(shown_of_them) else ":"
                named = ", ".join(_in_six_digits(value) for value in shown_of_them)
                yield f"{column}: {number_of(len(far), 'number')} far from all others{which} {named}"

    def text(self, label: np.ndarray, class_names: Sequence[str]) -> str:
        """Implements `Labelling.text`: the numbers."""
        return " ".join(f"{value:.10g}" for value in label.tolist())

    def columns(self, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.columns`."""
        return list(class_names)

    def cells(self, label: np.ndarray, class_names: Sequence[str]) -> list[str]:
        """Implements `Labelling.cells`."""
        return [repr(value) for value in label.tolist()]

    def members(self, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Implements `Labelling.members`: none."""
        return {}

    def count(self, class_names: Sequence[str]) -> str:
        """Implements `Labelling.count`."""
        return "one number each" if len(class_names) == 1 else f"{len(class_names)} numbers each"

    def _moved(self, labels: np.ndarray, positions: np.ndarray, names: int) -> np.ndarray:
        moved = np.full((len(labels), names), np.nan)
        moved[:, positions] = labels
        return moved


class Unlabelled(SeveralLabels):
    """No labels at all: images to look at, to search or to label; their labels have the shape (n, 0)."""

    def require_enough(self, name: str, class_names: Sequence[str], labels: np.ndarray, *, why: str) -> None:
        """Implements `Labelling.require_enough`: one image."""
        if not len(labels):
            raise DataError(
                f"{name}: expected images that can be decoded. Received none{why}. Name a folder with photos in it."
            )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Implements `Labelling.strata`: one for all."""
        return np.zeros(len(labels), np.int64)

    def findings(self, class_names: Sequence[str], labels: np.ndarray) -> Iterable[str]:
        """Implements `Labelling.findings`: none."""
        return ()

    def count(self, class_names: Sequence[str]) -> str:
        """Implements `Labelling.count`."""
        return "no labels"


_LABELLINGS: dict[str, Labelling] = {each.kind: each for each in (OneClass(), SeveralLabels(), Numbers())}
_UNLABELLED = Unlabelled()


def labelling_of(labels: np.ndarray) -> Labelling:
    """Returns what labels are, by their type and shape."""
    if labels.shape[1:] == (0,):
        return _UNLABELLED
    if labels.dtype.kind == "f":
        return _LABELLINGS["numbers"]
    return _LABELLINGS["class" if labels.ndim == 1 else "labels"]


def shown(names: Sequence[str]) -> str:
    """Returns at most ten names, and the number of the others."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _occurs_and_lacks(labels: np.ndarray) -> np.ndarray:
    return (labels == 1).any(axis=0) & (labels == 0).any(axis=0)


def _implications(class_names: Sequence[str], labels: np.ndarray) -> list[str]:
    """Returns "a implies b" for labels of at least five images, all of which have b too, that not all images have."""
    has = (labels == 1).astype(np.float32)  # of which products are fast, and exact up to 16 million images
    together, known = has.T @ has, has.T @ (labels != UNKNOWN).astype(np.float32)
    learnable = _occurs_and_lacks(labels)
    return [
        f"{class_names[one]} implies {class_names[other]}"
        for one in np.flatnonzero(learnable & (has.sum(axis=0) >= _FEW_IMAGES)).tolist()
        for other in np.flatnonzero(learnable).tolist()
        if one != other and known[one, other] and together[one, other] == known[one, other]
    ]


def _in_six_digits(value: float) -> str:
    """Returns a number with six digits that count, and never an exponent below 1e10: "2500000", "0.333333"."""
    return f"{float(f'{value:.6g}'):.10g}"
