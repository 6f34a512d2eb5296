"""Holds what a linear classifier answers out of fold, and how well."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Probe:
    """Out-of-fold predictions of a linear classifier on features.

    Attributes:
      probabilities: float64 (n, classes); each row by a classifier that has seen neither the image nor a copy of it.
      labels: int64 (n,).
      unshown: Images that were answered by classifiers which were shown no image of their class, int64 (k,): where all of it are
        in one fold, because it has a single image, or a single group of them.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    unshown: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def accuracy(self) -> float:
        """Returns the accuracy of the predictions, 0 to 1."""
        return float(self.right.mean())

    score_name = "accuracy"

    @property
    def score(self) -> float:
        """Returns the accuracy; see `tl_keras.probes.task_probe.Judged`."""
        return self.accuracy

    @property
    def shown(self) -> np.ndarray:
        """Returns which images were answered by classifiers that were shown their class, bool (n,); of others nothing is told."""
        return np.isin(np.arange(len(self.labels)), self.unshown, invert=True)

    @property
    def right(self) -> np.ndarray:
        """Returns which predictions are right, bool (n,)."""
        return self.probabilities.argmax(axis=1) == self.labels

    @property
    def values(self) -> np.ndarray:
        """Returns 1 for right predictions and 0 for wrong ones, float64 (n,)."""
        return self.right.astype(np.float64)

    @property
    def degrees(self) -> np.ndarray:
        """Returns how right each answer is, float64 (n,): the probability of the right class, 0 to 1."""
        return self.probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def standard_error(self) -> float:
        """Returns the accuracy's standard error, a binomial's with one more of each answer (Agresti and Coull 1998), never 0."""
        images = len(self.labels) + 2
        share = (self.right.sum() + 1) / images
        return float(np.sqrt(share * (1 - share) / images))

    def in_sentence(self, scores: str) -> str:
        """Returns scores as the object of a sentence, "0.9 right"."""
        return f"{scores} right"

    def with_more(self, other: Probe) -> Probe:
        """Returns the predictions of these images followed by those of others."""
        return Probe(
            np.concatenate([self.probabilities, other.probabilities]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.unshown, len(self.labels) + other.unshown]),
        )
