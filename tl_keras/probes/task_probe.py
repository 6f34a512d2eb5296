"""Judges features by the score of the task that is learnt: simple models answer out of fold, and the task scores the answers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tl_keras.config.choices import LabelKind
from tl_keras.console import in_words
from tl_keras.data.labelling import UNKNOWN, labelling_of
from tl_keras.probes.probe import Probe, error_of_mean, joined_groups
from tl_keras.probes.transferability import along_components, linear_probe, repeats_for, ridge_probe
from tl_keras.tasks.base import Task

# Number of parts that are left out in turn to find the error of a score; more change it by less than a tenth.
_PARTS = 100


class Judged(Protocol):
    """Out-of-fold answers for some images, with their score: a `Probe`, or a `TaskProbe`."""

    @property
    def labels(self) -> np.ndarray:
        """Returns the labels of the images."""

    @property
    def score_name(self) -> str:
        """Returns the name of the score in words."""

    @property
    def score(self) -> float:
        """Returns the score of all answers, at most 1."""

    @property
    def standard_error(self) -> float:
        """Returns the standard error of the score."""

    @property
    def values(self) -> np.ndarray:
        """Returns what each image adds to the score, float64 (n,), whose mean is the score."""

    @property
    def clusters(self) -> np.ndarray:
        """Returns a number for each image, int64 (n,), the same for those whose values vary together."""

    @property
    def degrees(self) -> np.ndarray:
        """Returns how right each answer is, float64 (n,), by whose mean teachers are ordered."""

    def in_sentence(self, scores: str) -> str:
        """Returns scores as the object of a sentence."""

    def with_more(self, other: Any) -> Any:
        """Returns the answers for these images followed by those for others."""


@dataclasses.dataclass(frozen=True)
class TaskProbe:
    """Out-of-fold answers, scored by a task.

    Attributes:
      task: Task that scores them.
      logits: Answers as the task's logits, float32 (n, outputs).
      labels: Labels of the images, as the source has them.
      groups: int64 (n,), the same number for images that belong together; None where each is alone.
    """

    task: Task
    logits: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    @property
    def score_name(self) -> str:
        """Returns the name of the task's score in words."""
        return in_words(self.task.score_name)

    def in_sentence(self, scores: str) -> str:
        """Returns scores as the object of a sentence, "a score (r2) of 0.9"."""
        return f"a score ({self.score_name}) of {scores}"

    @functools.cached_property
    def score(self) -> float:
        """Returns the task's score."""
        return self.task.score(self.logits, self.labels)

    @functools.cached_property
    def clusters(self) -> np.ndarray:
        """Returns the part of each image, int64 (n,): whole groups, several together where there are more than 100."""
        groups = np.arange(len(self.labels)) if self.groups is None else self.groups
        return np.unique(groups, return_inverse=True)[1] % _PARTS

    @functools.cached_property
    def values(self) -> np.ndarray:
        """Returns the jackknife's pseudo-values, float64 (n,) (Tukey 1958); of an accuracy they are 1 for right and 0 for wrong.

        Parts are left out in turn, and each image has the value of its part; of parts of different sizes they are those of Busing
        et al. 1999, "Delete-m jackknife for unequal m".
        """
        part, images = self.clusters, len(self.labels)
        sizes = np.bincount(part)
        if len(sizes) < 2:
            return np.full(images, self.score)
        kept = [part != left for left in range(len(sizes))]
        without = np.array([self.task.score(self.logits[rows], self.labels[rows]) for rows in kept])
        pseudo = (images * self.score - (images - sizes) * without) / sizes
        return self.score + pseudo[part] - sizes @ pseudo / images

    @property
    def degrees(self) -> np.ndarray:
        """Returns what each image adds to the score."""
        return self.values

    @property
    def standard_error(self) -> float:
        """Returns the jackknife's standard error."""
        return error_of_mean(self.values, self.clusters)

    def with_more(self, other: TaskProbe) -> TaskProbe:
        """Returns the answers for these images followed by those for others."""
        logits, labels = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("logits", "labels"))
        return dataclasses.replace(self, logits=logits, labels=labels, groups=joined_groups(self.groups, other.groups))


def probe(
    task: Task, features: np.ndarray, labels: np.ndarray, *, classes: int, groups: np.ndarray, seed: int
) -> Probe | TaskProbe:
    """Returns the answers of simple models on features, each by one that has seen neither the image nor a copy of it.

    Args:
      task: Task that is learnt, with what it knows of the training images.
      features: float32 (n, d).
      labels: Labels of the images, as the source has them.
      classes: Number of classes, labels or columns.
      groups: int64 (n,); images of a group, such as copies of each other, are in one fold.
      seed: Seed of the folds.
    """
    kind = labelling_of(labels).kind
    if kind == "class" and task.label_kind == "class":
        repeats = repeats_for(len(labels))
        return linear_probe(features, labels, classes=classes, groups=groups, seed=seed, repeats=repeats)
    return TaskProbe(task, task.logits_of(_ANSWERS[kind](features, labels, classes, groups, seed)), labels, groups)


def _of_classes(features: np.ndarray, labels: np.ndarray, classes: int, groups: np.ndarray, seed: int) -> np.ndarray:
    return linear_probe(features, labels, classes=classes, groups=groups, seed=seed).probabilities


def _of_labels(features: np.ndarray, labels: np.ndarray, classes: int, groups: np.ndarray, seed: int) -> np.ndarray:
    """Returns the probability of each label; of images of which it is not known, and labels that do not vary, its frequency."""
    answers, scaled = np.empty(labels.shape), along_components(features)  # once, which takes longer than a classifier
    for label in range(classes):
        column = labels[:, label]
        known = column != UNKNOWN
        answers[:, label] = (column == 1).sum() / max(known.sum(), 1)
        if len(np.unique(column[known])) == 2:
            found = linear_probe(scaled[known], column[known], classes=2, groups=groups[known], seed=seed)
            answers[known, label] = found.probabilities[:, 1]
    return answers


def _of_numbers(features: np.ndarray, labels: np.ndarray, classes: int, groups: np.ndarray, seed: int) -> np.ndarray:
    return ridge_probe(features, labels, strata=labelling_of(labels).strata(labels), groups=groups, seed=seed)


_ANSWERS: dict[LabelKind, Callable[[np.ndarray, np.ndarray, int, np.ndarray, int], np.ndarray]] = {
    "class": _of_classes,
    "labels": _of_labels,
    "numbers": _of_numbers,
}
