"""Whether a score of 0.8 is right eight times in ten, and the one number that mends it when it is not."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

# A validation set without a single mistake asks for a temperature of 0, which would make every answer certain.
_TEMPERATURES = (0.2, 5.0)
# Guo et al. 2017, table 1.
_BINS = 15


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature that makes held-out labels most likely under softmax(logits / temperature).

    Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2. The order of the
    classes, and so the accuracy, stays as it is.

    Args:
      logits: float32 (n, classes), of images that were not trained on, n at least 1.
      labels: int64 (n,), positions of the right classes.

    Returns:
      From 0.2 to 5; above 1 where the model was too sure.
    """
    logits, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=-1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded").x))


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Scores beside what came of them, in 15 bins of equal width from 0 to 1; all arrays (15,).

    Attributes:
      images: int64, whose best score falls into the bin.
      score: float64, mean best score of those images; 0 where there are none.
      accuracy: float64, the part of them that is right; 0 where there are none.
    """

    images: np.ndarray
    score: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1: Guo et al. 2017, equation 3."""
        return float((self.images * np.abs(self.accuracy - self.score)).sum() / self.images.sum())


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Returns how often scores are right: Guo et al. 2017, figure 1.

    Args:
      probabilities: float32 (n, classes), rows that sum to 1, n at least 1.
      labels: int64 (n,), positions of the right classes.
    """
    scores, right = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == labels
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    images = np.bincount(bins, minlength=_BINS)
    sums = (np.bincount(bins, weights=values, minlength=_BINS) for values in (scores, right))
    return Reliability(images, *(each / np.maximum(images, 1) for each in sums))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns how far scores lie from accuracy, 0 to 1; see `reliability`."""
    return reliability(probabilities, labels).error
