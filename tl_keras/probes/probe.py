"""Holds what a linear classifier answers out of fold, and how sure a mean over images is, of which some belong together."""

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
      groups: int64 (n,), the same number for images that belong together; None where each is alone.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    unshown: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    groups: np.ndarray | None = None

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
    def clusters(self) -> np.ndarray:
        """Returns a number for each image, int64 (n,), the same for those of a group."""
        return np.arange(len(self.labels)) if self.groups is None else self.groups

    @property
    def standard_error(self) -> float:
        """Returns the accuracy's standard error, never 0.

        It is a binomial's with one more of each answer (Agresti and Coull 1998), times the factor by which groups enlarge that of
        the mean, at least 1 (Kish 1965, "Survey Sampling"); where every answer is right, a group counts as one image.
        """
        images = len(self.labels) + 2
        share = (self.right.sum() + 1) / images
        alone = error_of_mean(self.values, np.arange(len(self.labels)))
        counted = np.sqrt(len(self.labels) / len(np.unique(self.clusters)))
        larger = error_of_mean(self.values, self.clusters) / alone if alone else counted
        return float(np.sqrt(share * (1 - share) / images) * max(larger, 1.0))

    def in_sentence(self, scores: str) -> str:
        """Returns scores as the object of a sentence, "0.9 right"."""
        return f"{scores} right"

    def with_more(self, other: Probe) -> Probe:
        """Returns the predictions of these images followed by those of others."""
        return Probe(
            np.concatenate([self.probabilities, other.probabilities]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.unshown, len(self.labels) + other.unshown]),
            joined_groups(self.groups, other.groups),
        )


def joined_groups(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Returns the groups of some images followed by those of others, of one numbering; None where each image is alone."""
    return None if one is None or other is None else np.concatenate([one, other])


def error_of_mean(values: np.ndarray, clusters: np.ndarray) -> float:
    """Returns the standard error of the mean of values of images; infinite if all are of one cluster.

    Args:
      values: float (n,).
      clusters: int64 (n,), the same number for images whose values vary together.
    """
    return float(np.sqrt(covariance_of_means(values[np.newaxis], clusters)[0, 0]))


def covariance_of_means(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Returns the covariance of the means of several values of the same images, float64 (k, k); infinite for one cluster.

    What a cluster adds to a mean is taken for one observation (Cameron and Miller 2015, "A practitioner's guide to
    cluster-robust inference").

    Args:
      values: float (k, n).
      clusters: int64 (n,), the same number for images whose values vary together.
    """
    cluster = np.unique(clusters, return_inverse=True)[1]
    number = int(cluster.max()) + 1
    if number < 2:
        return np.full((len(values), len(values)), np.inf)
    apart = values - values.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(cluster, row, number) for row in apart])
    return sums @ sums.T / values.shape[1] ** 2 * (number / (number - 1))
