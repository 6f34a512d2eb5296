"""Accuracy and its interval, top-5, and precision, recall and F1 for each class, from probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# With fewer classes, five guesses are right too often to say anything.
_TOP_5_FROM_CLASSES = 10

# Of the standard normal distribution, between the two of which 95% lie.
_QUANTILE = 1.959963984540054


def classification_metrics(
    labels: np.ndarray, probabilities: np.ndarray, class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Measures predictions.

    Args:
      labels: int64 (n,), positions in `class_names`, n at least 1.
      probabilities: float32 (n, classes); only their order in a row matters, so logits serve too.
      class_names: In the order of the columns.

    Returns:
      `examples`; `accuracy`; `top_5_accuracy` from ten classes on; `classes`, for each class its `class`, `precision`
      (None where it was never predicted), `recall` (None where there is no example), `f1`, the harmonic mean of the two
      (None where there is neither), and `examples`. All from 0 to 1.
    """
    predicted = probabilities.argmax(axis=-1)
    metrics: dict[str, Any] = {"examples": len(labels), "accuracy": float(np.mean(predicted == labels))}
    if len(class_names) >= _TOP_5_FROM_CLASSES:
        five_best = np.argpartition(-probabilities, 4, axis=-1)[:, :5]
        metrics["top_5_accuracy"] = float(np.mean((five_best == labels[:, None]).any(axis=-1)))
    confusion: np.ndarray = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    right, shown, guessed = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    metrics["classes"] = [
        {
            "class": name,
            "precision": float(right[i] / guessed[i]) if guessed[i] else None,
            "recall": float(right[i] / shown[i]) if shown[i] else None,
            "f1": float(2 * right[i] / (shown[i] + guessed[i])) if shown[i] + guessed[i] else None,
            "examples": int(shown[i]),
        }
        for i, name in enumerate(class_names)
    ]
    return metrics


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Returns the 95% interval of an accuracy that was measured on so many images, 0 to 1.

    Wilson's score interval (Wilson 1927), which Brown, Cai and DasGupta 2001 recommend: it holds its level for few images
    and does not collapse where every answer is right.
    """
    right = round(accuracy * images)  # scipy.stats.binomtest would also compute a p-value, in a hundred times the time
    centre = (right + _QUANTILE**2 / 2) / (images + _QUANTILE**2)
    half = _QUANTILE / (images + _QUANTILE**2) * math.sqrt(right * (images - right) / images + _QUANTILE**2 / 4)
    return (centre - half if right else 0.0), (centre + half if right < images else 1.0)
