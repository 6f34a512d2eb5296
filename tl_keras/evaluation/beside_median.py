"""Compares errors of numbers and grades with those of answering the median for all images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tl_keras.console import in_digits, printable
from tl_keras.evaluation.bootstrap import FEWEST
from tl_keras.evaluation.folds import fold_interval
from tl_keras.evaluation.numbers import interval_of_mean


@dataclasses.dataclass(frozen=True)
class BesideMedian:
    """A mean absolute error beside that of the median.

    Attributes:
      name: Name of what is missed, a column of numbers or `grades`.
      error: Mean absolute error of the predictions, in the unit of the number.
      interval: Both ends of its 95% interval; None for too few images.
      of_median: Mean absolute error of answering the median for all images.
    """

    name: str
    error: float
    interval: tuple[float, float] | None
    of_median: float

    @property
    def is_better(self) -> bool:
        """Returns whether the whole interval lies below the error of the median."""
        return self.interval is not None and self.interval[1] < self.of_median

    @property
    def is_worse(self) -> bool:
        """Returns whether the whole interval lies above the error of the median."""
        return self.interval is not None and self.interval[0] > self.of_median

    def describe(self) -> str:
        """Returns both errors, with what is missed."""
        return f"{printable(self.name)} (mean error {in_digits(self.error)}, the median's {in_digits(self.of_median)})"


def errors_beside_median(measures: Mapping[str, Any] | None, *, folds: int = 0) -> list[BesideMedian]:
    """Returns the errors that a run's measures hold beside those of the median; none in tasks that have no such errors.

    Args:
      measures: Measures as `Task.result_measures` returns them.
      folds: Number of folds if the predictions are out of fold, otherwise 0.
    """
    measures = measures or {}
    rows = [
        (
            row["column"],
            row["mean_absolute_error"],
            row["interval"] if row.get("examples", FEWEST) >= FEWEST else None,  # earlier versions wrote one of fewer
            row["median_baseline_error"],
        )
        for row in measures.get("columns", [])
        if row.get("median_baseline_error") is not None
    ]
    if counts := measures.get("off_by"):  # the number of images by how many grades they are missed
        interval = interval_of_mean(np.repeat(np.arange(len(counts), dtype=float), counts))
        rows.append(("grades", measures["mean_absolute_error"], interval, measures["median_baseline_error"]))
    return [
        BesideMedian(name, error, _interval(error, interval, folds=folds), of_median)
        for name, error, interval, of_median in rows
    ]


def _interval(error: float, interval: list[float] | None, *, folds: int) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = interval
    return fold_interval(error, (low, high), folds=folds, most=math.inf) if folds else (low, high)
