"""Measures predictions of numbers: errors, R², rank correlation, and intervals by conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tl_keras.evaluation.bootstrap import FEWEST, resamples

# Part of the images whose number lies in its interval.
COVERAGE = 0.9


def half_widths(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns for each column the half width of an interval around a prediction that holds 90% of the numbers.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, section 2.2): the k-th smallest error of n images that were not
    trained on, k = ceil(0.9 (n + 1)), holds the number of a further image with a probability of at least 0.9. Of fewer than nine
    images it is the largest error, and promises less.

    Args:
      values: float (n, columns), numbers of the images, n at least 1.
      predicted: float (n, columns).
    """
    errors = np.sort(np.abs(values - predicted), axis=0)
    rank = min(len(errors), math.ceil(COVERAGE * (len(errors) + 1)))
    return errors[rank - 1]


def promised_part(images: int) -> float:
    """Returns the part of further images whose number lies in its interval as `half_widths` promises it: 0.9, or less.

    Args:
      images: Number of images that the half widths are of, at least 1.
    """
    return min(COVERAGE, images / (images + 1))


def promised_by(measures: Mapping[str, Any]) -> float:
    """Returns the smallest `promised_part` that the columns of a task's measures name; 0.9 in those of earlier versions."""
    return min((row.get("promised", COVERAGE) for row in measures["columns"]), default=COVERAGE)


def shares_that_held(values: np.ndarray, predicted: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Returns for each column the part of the predictions' distance from the median that is worth answering, float64 (columns,).

    It is the slope of least squares through the median, kept between 0 and 1 (Copas 1983, "Regression, prediction and
    shrinkage"): predictions of few images reach too far, and where they tell nothing the share is 0 and the median is answered.

    Args:
      values: float (n, columns), numbers of images that were not trained on, n at least 1.
      predicted: float (n, columns).
      medians: float (columns,), medians of the training images.
    """
    distance, true = predicted - medians, values - medians
    squares = (distance**2).sum(axis=0)
    return np.clip((distance * true).sum(axis=0) / np.where(squares > 0, squares, 1.0), 0.0, 1.0)


def r_squared(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the part of the variance that is explained, averaged over the columns: 1 at most, below 0 if worse than the mean.

    A column that does not vary over these images counts as 0.

    Args:
      values: float (n, columns).
      predicted: float (n, columns).
    """
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    left = ((values - predicted) ** 2).sum(axis=0)
    return float(np.where(total > 0, 1 - left / np.where(total > 0, total, 1), 0.0).mean())


def number_metrics(
    values: np.ndarray, predicted: np.ndarray, *, widths: np.ndarray, medians: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Measures predictions of numbers, in their unit.

    Args:
      values: float (n, columns), n at least 1; a number that is not known is not a number (NaN).
      predicted: float (n, columns).
      widths: float (columns,), half widths of the intervals.
      medians: float (columns,), medians of the training images, the baseline.
      names: Names of the columns.

    Returns:
      `examples`; `r2`, the mean over the columns; and `columns`, which has for each its `column`; `mean_absolute_error` with its
      95% `interval` (None of fewer than five images); `root_mean_squared_error`; `r2` (None where the numbers do not vary, which
      counts as 0 in the mean); `spearman` (None where either does not vary); `median_baseline_error`, the
      mean absolute error of answering the training images' median; `half_width` of the interval, and `coverage`, the part
      of the numbers inside it; and `examples`.
    """
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        known = ~np.isnan(values[:, number])
        true, answer = values[known, number], predicted[known, number]
        errors = np.abs(true - answer)
        varies = len(true) > 1 and np.ptp(true) > 0
        rows.append(
            {
                "column": name,
                "mean_absolute_error": float(errors.mean()) if len(errors) else None,
                "interval": interval_of_mean(errors),
                "root_mean_squared_error": float(np.sqrt(np.mean(errors**2))) if len(errors) else None,
                "r2": r_squared(true[:, np.newaxis], answer[:, np.newaxis]) if varies else None,
                "spearman": float(spearmanr(true, answer).statistic) if varies and np.ptp(answer) > 0 else None,
                "median_baseline_error": float(np.abs(true - medians[number]).mean()) if len(errors) else None,
                "half_width": float(widths[number]),
                "coverage": float(np.mean(errors <= widths[number])) if len(errors) else None,
                "examples": int(known.sum()),
            }
        )
    measured = [row["r2"] or 0.0 for row in rows if row["examples"]]
    return {"examples": len(values), "r2": float(np.mean(measured)) if measured else 0.0, "columns": rows}


def interval_of_mean(errors: np.ndarray) -> list[float] | None:
    """Returns the 95% interval of a mean, by the bootstrap (Efron and Tibshirani 1993, section 13.3); None of too few to tell it.

    Args:
      errors: float (n,).
    """
    if len(errors) < FEWEST:
        return None
    means = [errors[drawn].mean() for drawn in resamples(len(errors), np.random.default_rng(0))]
    return [float(limit) for limit in np.quantile(means, (0.025, 0.975))]
