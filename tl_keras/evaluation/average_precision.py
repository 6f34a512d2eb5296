"""Measures several labels per image: average precision with intervals, F1 at thresholds, calibration of each label."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.evaluation.calibration import expected_calibration_error

UNKNOWN = -1
# Number of resamples of the images, enough for limits that differ by a point from run to run.
_RESAMPLES = 200
# Number of images with a label, and without, below which the label takes the threshold of all labels together.
_FEWEST_FOR_A_THRESHOLD = 5


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Returns the area under the curve of precision and recall, 0 to 1, summed at each score and not interpolated.

    Args:
      labels: (n,), 1, 0 or -1 for not known; such images count for nothing.
      scores: float (n,), higher for images that are more likely to have the label.
      weights: Weights of the images, float (n,), 0 or more; None for equal ones.

    Returns:
      The average precision, or None if no image has the label, or none lacks it: then there is nothing to rank.
    """
    known = labels != UNKNOWN
    weights = np.ones(len(labels)) if weights is None else weights
    order = np.argsort(-scores[known], kind="stable")
    has, weight, score = (labels[known] == 1)[order], weights[known][order], scores[known][order]
    right, shown = np.cumsum(weight * has), np.cumsum(weight)
    if not len(right) or not 0 < right[-1] < shown[-1]:
        return None
    # Of equal scores none comes before the others: all have the precision of the last.
    last = np.searchsorted(-score, -score, side="right") - 1
    precision = right[last] / np.maximum(shown[last], np.finfo(float).tiny)
    return float((precision * weight * has).sum() / right[-1])


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the mean of the average precisions of the labels that some images have and others lack, 0 to 1; 0 if there is none.

    Args:
      labels: int64 (n, labels), 1, 0 or -1.
      scores: float (n, labels).
    """
    found = [average_precision(*columns) for columns in zip(labels.T, scores.T, strict=True)]
    measured = [each for each in found if each is not None]
    return float(np.mean(measured)) if measured else 0.0


@dataclasses.dataclass(frozen=True)
class Resamples:
    """The average precisions over resamples of the images.

    Where every image that has a label comes before all others, every resample is perfect too, which says nothing of images to come.
    One image more is then reckoned with, which has the label and comes last, as often drawn as any other: with n images that have
    the label the lower limit is about 1 - 3 / (n + 3), that of Wilson's interval of an accuracy of 1 (`accuracy_interval`).

    Attributes:
      values: float64 (200, labels); not a number where no drawn image has the label, or none lacks it.
      having: Number of drawn images that have each label, float64 (200, labels).
      known: Number of drawn images of which each label is known, float64 (200, labels).
    """

    values: np.ndarray
    having: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, scores: np.ndarray) -> Resamples:
        """Draws resamples of images, by labels, int64 (n, labels), and scores, float (n, labels)."""
        random, equal = np.random.default_rng(0), np.full(len(labels), 1 / len(labels))
        has, is_known = labels == 1, labels != UNKNOWN
        values, having, known = [], [], []
        for _ in range(_RESAMPLES):  # one at a time, since all of them would take 320 MB for 200,000 images
            weights = random.multinomial(len(labels), equal)
            values.append([average_precision(*column, weights) for column in zip(labels.T, scores.T, strict=True)])
            having.append(weights @ has)
            known.append(weights @ is_known)
        return cls(np.array(values, np.float64), np.array(having), np.array(known))

    def of_labels(self) -> np.ndarray:
        """Returns the average precision of each label, float64 (200, labels), by which its interval is made."""
        return self._with_one_more(np.random.default_rng(1).poisson(1, self.values.shape))

    def means(self) -> np.ndarray:
        """Returns the mean over the labels, float64 (at most 200,); the one image more has one of the labels."""
        perfect = np.flatnonzero(self._perfect)
        drawn = np.random.default_rng(1).poisson(1 / max(len(perfect), 1), self.values.shape)
        values = self._with_one_more(drawn)
        return np.nanmean(values[~np.isnan(values).all(axis=1)], axis=1)

    @property
    def _perfect(self) -> np.ndarray:
        unranked = np.isnan(self.values)
        return ~unranked.all(axis=0) & np.all(unranked | (self.values > 1 - 1e-12), axis=0)

    def _with_one_more(self, drawn: np.ndarray) -> np.ndarray:
        """Returns the values as if another image that has the label came last, drawn so many times, int64 (200, labels)."""
        having = self.having + drawn
        precision_at_last = having / np.maximum(self.known + drawn, 1)
        more = (np.nan_to_num(self.values, nan=1.0) * self.having + drawn * precision_at_last) / np.maximum(having, 1)
        return np.where(self._perfect & (having > 0), more, self.values)


def mean_average_precision_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Returns the 95% interval of the mean average precision, by the bootstrap over images; 0 to 1 where it cannot be told."""
    low, high = _limits(Resamples.of(labels, scores).means()) or (0.0, 1.0)
    return low, high


def choose_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns for each label the score, float64 (labels,), from which on it is said to be there.

    Of the thresholds whose F1 lies within one standard error of the largest it is the one nearest to 0.5: on few images the
    largest F1 is a lucky one, and scores are calibrated.

    Args:
      labels: int64 (n, labels), 1, 0 or -1; images that were not trained on.
      scores: float (n, labels), 0 to 1.
    """
    known = labels != UNKNOWN
    of_all = best_threshold(labels[known] == 1, scores[known])
    thresholds = np.full(labels.shape[1], of_all)
    for label in range(labels.shape[1]):
        has = labels[known[:, label], label] == 1
        if min(has.sum(), (~has).sum()) >= _FEWEST_FOR_A_THRESHOLD:
            thresholds[label] = best_threshold(has, scores[known[:, label], label])
    return thresholds


def best_threshold(has: np.ndarray, scores: np.ndarray) -> float:
    """Returns 0.5, or the nearest middle between two scores whose F1 is not clearly below the largest.

    Args:
      has: bool (n,), whether each image has the label.
      scores: float (n,), probabilities of the label.
    """
    if not has.any() or has.all():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order].astype(np.float64), np.cumsum(has[order])
    f1 = 2 * right / (np.arange(1, len(has) + 1) + has.sum())
    following = np.append(ranked[1:], 0.0)
    cut = ranked > following  # between equal scores there is no threshold
    largest = float(f1[cut].max())
    allowed = largest - math.sqrt(largest * (1 - largest) / has.sum())
    good = cut & (f1 >= allowed - 1e-12)
    # Any score between a pair makes the same answers; 0.5 itself where it lies there.
    nearest = np.where((following < 0.5) & (ranked >= 0.5), 0.5, (ranked + following) / 2)[good]
    return float(nearest[np.argmin(np.abs(nearest - 0.5))])


def several_labels_metrics(
    labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Measures predictions of several labels.

    Args:
      labels: int64 (n, labels), 1, 0 or -1.
      scores: float (n, labels), calibrated probabilities.
      thresholds: float (labels,).
      class_names: Names of the labels.

    Returns:
      `examples`; `mean_average_precision`, with `mean_average_precision_interval` of 95%; `f1`, the mean over the labels that an
      image has or that were found; `exact`, the part of the images with all labels right; `calibration_error`; and `labels`, with
      for each its `label`, `average_precision` and `interval` (None where all images have it, or none), `precision`, `recall`,
      `f1`, `threshold`, `examples` that have it, and `known`. All figures are 0 to 1.
    """
    rows: list[dict[str, Any]] = []
    resamples = Resamples.of(labels, scores)
    resampled = resamples.of_labels()
    for number, name in enumerate(class_names):
        column, score = labels[:, number], scores[:, number]
        known, has, found = column != UNKNOWN, column == 1, score >= thresholds[number]
        right, shown, guessed = (int(np.sum(each & known)) for each in (has & found, has, found))
        rows.append(
            {
                "label": name,
                "average_precision": average_precision(column, score),
                "interval": _limits(resampled[:, number]) if 0 < shown < known.sum() else None,
                "precision": right / guessed if guessed else None,
                "recall": right / shown if shown else None,
                "f1": 2 * right / (shown + guessed) if shown + guessed else None,
                "threshold": float(thresholds[number]),
                "examples": shown,
                "known": int(known.sum()),
            }
        )
    f1 = [row["f1"] for row in rows if row["f1"] is not None]
    wrong = ((labels == 1) != (scores >= thresholds)) & (labels != UNKNOWN)
    return {
        "examples": len(labels),
        "mean_average_precision": mean_average_precision(labels, scores),
        "mean_average_precision_interval": _limits(resamples.means()),
        "f1": float(np.mean(f1)) if f1 else 0.0,
        "exact": float(np.mean(~wrong.any(axis=1))),
        "calibration_error": calibration_error(labels, scores),
        "labels": rows,
    }


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the expected calibration error of the answer whether an image has a label, averaged over the labels, 0 to 1."""
    errors = [
        expected_calibration_error(np.stack([1 - score, score], axis=1)[known], (column == 1)[known].astype(np.int64))
        for column, score in zip(labels.T, scores.T, strict=True)
        if (known := column != UNKNOWN).any()
    ]
    return float(np.mean(errors)) if errors else 0.0


def _limits(values: np.ndarray) -> list[float] | None:
    """Returns the 2.5% and the 97.5% quantile of resampled values (Efron and Tibshirani 1993, section 13.3)."""
    measured = values[~np.isnan(values)]
    return [float(limit) for limit in np.quantile(measured, (0.025, 0.975))] if len(measured) else None
