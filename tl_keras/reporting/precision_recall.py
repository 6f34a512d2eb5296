"""Draws precision by recall of each class, from the scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

from tl_keras.reporting.figures import BLUE, GREY, ORANGE, Picture, drawing_of, in_legend

# Number of classes above which a line for each is a grey cloud.
_MOST_LINES = 40


def average_precisions(labels: np.ndarray, scores: np.ndarray) -> list[float | None]:
    """Returns the average precision of each class, 0 to 1, as scikit-learn defines it; None for classes without an image.

    Args:
      labels: int64 (n,), right classes.
      scores: float (n, classes).
    """
    return [
        float(average_precision_score(labels == number, scores[:, number])) if (labels == number).any() else None
        for number in range(scores.shape[1])
    ]


def precision_recall(labels: np.ndarray, scores: np.ndarray, names: Sequence[str]) -> Picture | None:
    """Draws a curve for each class, with the highest and the lowest average precision named; None if no class can be drawn.

    Args:
      labels: int64 (n,), right classes.
      scores: float (n, classes), scores by which images are sorted.
      names: Names of the classes.
    """
    known = [(value, number) for number, value in enumerate(average_precisions(labels, scores)) if value is not None]
    if not known:
        return None
    known.sort()
    (lowest, worst), (highest, best) = known[0], known[-1]
    others = [number for _, number in known[1:-1][:_MOST_LINES]]
    with drawing_of("precision_recall", 3.6) as drawing:
        axes = drawing.figure.subplots()
        for number in others:
            axes.plot(*_curve(labels == number, scores[:, number]), color=GREY, linewidth=0.7)
        for number, value, color, style in ((best, highest, BLUE, "-"), (worst, lowest, ORANGE, "--")):
            label = f"{in_legend(names[number])}: {value:.3f}"
            axes.plot(*_curve(labels == number, scores[:, number]), style, color=color, label=label)
            if best == worst:
                break
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(title="average precision")
    mean = np.mean([value for value, _ in known])
    return Picture(
        drawing.svg,
        f"Precision by recall of {len(known)} classes. The average precision is highest for {names[best]}, {highest:.3f}, "
        f"lowest for {names[worst]}, {lowest:.3f}, and {mean:.3f} in the mean.",
    )


def _curve(right: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns recall and precision, from the highest threshold to the lowest."""
    precision, recall, _ = precision_recall_curve(right, scores)
    return recall[::-1], precision[::-1]
