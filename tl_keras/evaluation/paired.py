"""Tests whether two models differ, on the same images; and measures the mean of several runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, t


@dataclasses.dataclass(frozen=True)
class Paired:
    """The comparison of two models on the same images.

    Attributes:
      better: Number of images that the first alone answers rightly.
      worse: Number of images that the second alone answers rightly.
      p_value: Probability of counts at least as unequal if both were equally good: McNemar's exact test (McNemar 1947).
    """

    better: int
    worse: int
    p_value: float


def paired_test(first: np.ndarray, second: np.ndarray) -> Paired:
    """Returns the comparison of two models.

    Args:
      first: bool (n,), whether the first answers each image rightly.
      second: bool (n,), whether the second does.
    """
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Paired(better, worse, p_value)


def mean_and_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Returns the mean of a score over several runs and its 95% interval, by Student's t; at least two values are needed."""
    mean, deviation, count = float(np.mean(values)), float(np.std(values, ddof=1)), len(values)
    half = float(t.ppf(0.975, count - 1)) * deviation / math.sqrt(count)
    return mean, (mean - half, mean + half)
