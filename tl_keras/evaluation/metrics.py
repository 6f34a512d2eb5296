"""Computes accuracy and its interval, top-5, and precision, recall and F1 of each class from probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tl_keras.console import printable

# With fewer classes, five guesses are right too often to be informative.
_TOP_5_FROM_CLASSES = 10

# Ratio of the largest to the smallest class.
_UNEQUAL = 5

# Quantile of the standard normal distribution: 95% lies within this distance of 0.
_QUANTILE = 1.959963984540054


def classification_metrics(
    labels: np.ndarray, probabilities: np.ndarray, class_names: tuple[str, ...], *, answers: np.ndarray | None = None
) -> dict[str, Any]:
    """Measures predictions against labels.

    Args:
      labels: int64 (n,), positions in `class_names`, n at least 1.
      probabilities: float32 (n, classes); only their order in a row matters, so logits serve too.
      class_names: Names in the order of the columns.
      answers: int64 (n,), positions in `class_names`; None where the class with the largest probability is the answer.

    Returns:
      `examples`; `accuracy`; `top_5_accuracy` if there are ten classes or more; and `classes`, which has for each class its
      `class`, `precision` (None if it was never predicted), `recall` (None if there is no example), `f1`, the harmonic mean
      of the two (None if there is neither), and `examples`; `balanced_accuracy`, the mean recall of the classes with examples, and
      `macro_f1`, the mean F1. All figures are 0 to 1.
    """
    predicted = probabilities.argmax(axis=-1) if answers is None else answers
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
    for key, name in (("balanced_accuracy", "recall"), ("macro_f1", "f1")):
        metrics[key] = float(np.mean([row[name] for row in metrics["classes"] if row[name] is not None]))
    return metrics


def hides_rare_classes(metrics: Mapping[str, Any]) -> bool:
    """Returns whether the sizes of the classes differ five-fold, so that the accuracy is that of the frequent ones."""
    sizes = [row["examples"] for row in metrics["classes"] if row["examples"]]
    return bool(sizes) and max(sizes) >= _UNEQUAL * min(sizes)


def classification_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Returns what `classification_metrics` returned as a line and a table."""
    macro = ""
    if hides_rare_classes(metrics):
        macro = f", mean over the classes {metrics['balanced_accuracy']:.4f}, F1 {metrics['macro_f1']:.4f}"
    top_5 = f", top-5 {metrics['top_5_accuracy']:.4f}" if "top_5_accuracy" in metrics else ""
    width = max(len("class"), *(len(printable(row["class"])) for row in metrics["classes"]))
    lines = [
        f"accuracy {metrics['accuracy']:.4f}{top_5}{macro}",
        f"{'class':<{width}} {'precision':>10} {'recall':>8} {'images':>8}",
    ]
    for row in metrics["classes"]:
        precision, recall = ("-" if row[name] is None else f"{row[name]:.4f}" for name in ("precision", "recall"))
        lines.append(f"{printable(row['class']):<{width}} {precision:>10} {recall:>8} {row['examples']:>8}")
    return lines


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Returns the 95% interval of an accuracy, 0 to 1, that was measured on this many images.

    This is Wilson's score interval (Wilson 1927), recommended by Brown, Cai and DasGupta 2001: it keeps its level for few
    images and does not collapse if every answer is right.
    """
    right = round(
        accuracy * images
    )  # scipy.stats.binomtest would also compute a p-value, which takes a hundred times as long
    centre = (right + _QUANTILE**2 / 2) / (images + _QUANTILE**2)
    half = _QUANTILE / (images + _QUANTILE**2) * math.sqrt(right * (images - right) / images + _QUANTILE**2 / 4)
    return (centre - half if right else 0.0), (centre + half if right < images else 1.0)
