"""Measures a score over folds: the interval of a figure to which every image contributed once."""

from __future__ import annotations

import math


def fold_interval(score: float, interval: tuple[float, float], *, folds: int) -> tuple[float, float]:
    """Returns the 95% interval of an out-of-fold score.

    The models of two folds share most of their images, so that their errors go together, and the interval of as many independent
    answers is too short (Bengio and Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation"). Its
    variance is multiplied by a factor of Nadeau and Bengio 2003, "Inference for the generalization error": 1 + folds * (held
    out / trained on), whose last fraction is 1 / (folds - 1).

    Args:
      score: Score over all images.
      interval: 95% interval of the same score if the answers were independent.
      folds: Number of folds, at least 2.
    """
    wider = math.sqrt(1 + folds / (folds - 1))
    low, high = (score + wider * (end - score) for end in interval)
    return max(low, min(0.0, interval[0])), min(high, max(1.0, interval[1]))
