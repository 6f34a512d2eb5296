"""Measures predictions of classes that have an order: errors in grades, and the quadratic weighted kappa."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.evaluation.metrics import classification_metrics


def quadratic_weighted_kappa(labels: np.ndarray, answers: np.ndarray, classes: int) -> float:
    """Returns the agreement beyond chance, -1 to 1, in which a mistake counts by the square of its grades (Cohen 1968).

    Args:
      labels: int64 (n,), 0 to classes - 1.
      answers: int64 (n,), 0 to classes - 1.
      classes: Number of classes.

    Returns:
      1 for answers that are all right; 0 if they are no better than their shares, also if all labels and answers are equal.
    """
    counts: np.ndarray = np.zeros((classes, classes))
    np.add.at(counts, (labels, answers), 1)
    squares = (np.arange(classes)[:, None] - np.arange(classes)[None, :]) ** 2
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(labels)
    expected = float((squares * by_chance).sum())
    return 1 - float((squares * counts).sum()) / expected if expected else 0.0


def grade_metrics(
    labels: np.ndarray, answers: np.ndarray, expected: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Measures predictions of ordered classes.

    Args:
      labels: int64 (n,), positions in the order.
      answers: int64 (n,).
      expected: float (n,), expected grade, 0 to classes - 1.
      class_names: Names in their order.

    Returns:
      What `classification_metrics` returns; `quadratic_weighted_kappa`; `mean_absolute_error` in grades, that of the
      `expected` grade, and `median_baseline_error`, that of always answering the median of these labels; and `off_by`, the number
      of images by how many grades they are answered wrongly, 0 first.
    """
    classes, off = len(class_names), np.abs(labels - answers)
    metrics = classification_metrics(labels, np.eye(classes)[answers], tuple(class_names))
    metrics.pop("top_5_accuracy", None)
    return {
        **metrics,
        "quadratic_weighted_kappa": quadratic_weighted_kappa(labels, answers, classes),
        "mean_absolute_error": float(off.mean()),
        "mean_absolute_error_of_expected": float(np.abs(labels - expected).mean()),
        "median_baseline_error": float(np.abs(labels - np.median(labels)).mean()),
        "off_by": np.bincount(off, minlength=classes).tolist(),
    }


def error_of_kappa(score: float, images: int) -> float:
    """Returns the standard error of a weighted kappa, about that of the correlation of which it is a form (Fleiss, Cohen 1973)."""
    return (1 - min(max(score, 0.0), 1.0) ** 2) / math.sqrt(images)
