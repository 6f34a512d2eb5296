"""Finds likely wrong labels of any kind by predictions of simple models that have not seen the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tl_keras.advice.suspects import expected_errors, far_away, label_suspects
from tl_keras.config.choices import LabelKind
from tl_keras.console import in_digits
from tl_keras.data.labelling import UNKNOWN, shown
from tl_keras.data.sources import Source
from tl_keras.evaluation.numbers import r_squared
from tl_keras.probes.transferability import along_components, linear_probe, ridge_probe

# Out-of-fold probability of what a label says, below which the label is shown to a person.
_DOUBTED = 0.2


@dataclasses.dataclass(frozen=True)
class LabelCheck:
    """What simple models on a teacher's features make of the labels.

    Attributes:
      score: How well they predict the labels: the part that is right, or of numbers R².
      says: The same in words.
      suspects: Positions among the images whose label is likely wrong, the likeliest first, each with a remark.
      expected_errors: Number of labels that are expected to be wrong; None where there is no estimate.
    """

    score: float
    says: str
    suspects: tuple[tuple[int, str], ...]
    expected_errors: int | None = None


def check_labels(
    source: Source, indices: np.ndarray, features: np.ndarray, *, groups: np.ndarray, seed: int
) -> LabelCheck:
    """Returns what simple models make of the labels of some images.

    Args:
      source: The images.
      indices: Images to look at, int64 (n,).
      features: Features of a teacher, float32 (n, d).
      groups: Number of each image's group of copies, int64 (n,); a group is predicted together.
      seed: Seed of the folds.
    """
    return _CHECKS[source.labelling.kind](source, indices, features, groups, seed)


def _one_class(source: Source, indices: np.ndarray, features: np.ndarray, groups: np.ndarray, seed: int) -> LabelCheck:
    names = source.class_names
    probe = linear_probe(features, source.labels[indices], classes=len(names), groups=groups, seed=seed)
    suspects = tuple(
        (
            row,
            f"labelled {names[probe.labels[row]]}, looks like {names[int(probe.probabilities[row].argmax())]} "
            f"({probe.probabilities[row].max():.0%})",
        )
        for row in label_suspects(probe).tolist()
    )
    says = f"a linear probe gets {probe.accuracy:.3f} of the labels right"
    if alone := [names[label] for label in np.unique(probe.labels[~probe.shown]).tolist()]:
        says += f", and cannot judge those of {shown(alone)}, whose {source.noun}s all belong together"
    return LabelCheck(probe.accuracy, says, suspects, expected_errors(probe))


def _several_labels(
    source: Source, indices: np.ndarray, features: np.ndarray, groups: np.ndarray, seed: int
) -> LabelCheck:
    found: list[tuple[float, int, str]] = []
    right: list[np.ndarray] = []
    scaled = along_components(features)  # once, which takes longer than a classifier
    for name, column in zip(source.class_names, source.labels[indices].T, strict=True):
        known = np.flatnonzero(column != UNKNOWN)
        if len(np.unique(column[known])) < 2:
            continue
        probe = linear_probe(scaled[known], column[known], classes=2, groups=groups[known], seed=seed)
        own = probe.probabilities[np.arange(len(known)), probe.labels]
        right.append(probe.right)
        for row in np.flatnonzero(probe.shown & (own < _DOUBTED)).tolist():
            said = (
                f"labelled {name}, looks without it" if column[known[row]] else f"without {name}, looks as if it had it"
            )
            found.append((float(own[row]), int(known[row]), f"{said} ({1 - own[row]:.0%})"))
    score = float(np.concatenate(right).mean()) if right else 0.0
    says = f"linear probes get {score:.3f} of the answers right whether an image has a label"
    return LabelCheck(score, says, tuple((row, remark) for _, row, remark in sorted(found)))


def _numbers(source: Source, indices: np.ndarray, features: np.ndarray, groups: np.ndarray, seed: int) -> LabelCheck:
    values = source.labels[indices]
    strata = source.labelling.strata(values)
    predicted = ridge_probe(features, values, strata=strata, groups=groups, seed=seed)
    found: list[tuple[float, int, str]] = []
    for number, name in enumerate(source.class_names):
        errors = np.abs(predicted[:, number] - values[:, number])
        for row in far_away(errors).tolist():
            remark = f"{name} {in_digits(values[row, number], 6)}, looks like {in_digits(predicted[row, number])}"
            found.append((-float(errors[row] / max(np.median(errors), 1e-12)), row, remark))
    score = r_squared(values, predicted)
    says = f"a ridge regression explains {score:.3f} of the variance"
    return LabelCheck(score, says, tuple((row, remark) for _, row, remark in sorted(found)))


_CHECKS: dict[LabelKind, Callable[[Source, np.ndarray, np.ndarray, np.ndarray, int], LabelCheck]] = {
    "class": _one_class,
    "labels": _several_labels,
    "numbers": _numbers,
}
