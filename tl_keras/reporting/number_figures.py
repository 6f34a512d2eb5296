"""Draws the figures of tasks with several labels or numbers."""

from __future__ import annotations

import numpy as np

from tl_keras.console import in_digits
from tl_keras.reporting.figures import BLUE, GREY, ORANGE, Picture, drawing_of


def predicted_against_measured(
    values: np.ndarray, predicted: np.ndarray, *, half_width: float, promised: float, name: str
) -> Picture:
    """Draws predictions over the measured numbers, and the band of their interval.

    Args:
      values: float (n,), measured.
      predicted: float (n,).
      half_width: Half width of the interval.
      promised: Part of the numbers that the interval is to hold.
      name: Name of the number.
    """
    ends = np.array([min(values.min(), predicted.min()), max(values.max(), predicted.max())])
    with drawing_of("scatter", 3.8) as drawing:
        axes = drawing.figure.subplots()
        axes.fill_between(ends, ends - half_width, ends + half_width, color=GREY, alpha=0.2, linewidth=0)
        axes.plot(ends, ends, color=GREY, linestyle=":")
        axes.plot(values, predicted, "o", color=BLUE, markersize=3, alpha=0.6)
        axes.set(xlabel=f"{name}, measured", ylabel="predicted")
    inside = float(np.mean(np.abs(values - predicted) <= half_width))
    return Picture(
        drawing.svg,
        f"Predictions of {name} over what was measured; {inside:.0%} lie inside the band of the {promised:.0%} interval.",
    )


def errors_by_tenth(values: np.ndarray, predicted: np.ndarray, *, name: str) -> Picture:
    """Draws the errors of each tenth of the images in order of the measured number, which shows where they lean.

    Args:
      values: float (n,), measured, n at least 1.
      predicted: float (n,).
      name: Name of the number.
    """
    order = np.argsort(values, kind="stable")
    tenths = [part for part in np.array_split(order, min(10, len(order))) if len(part)]
    centres = [float(values[part].mean()) for part in tenths]
    errors = [predicted[part] - values[part] for part in tenths]
    medians = [float(np.median(error)) for error in errors]
    with drawing_of("errors", 3.0) as drawing:
        axes = drawing.figure.subplots()
        axes.axhline(0, color=GREY, linestyle=":")
        for centre, error in zip(centres, errors, strict=True):
            axes.plot([centre, centre], np.quantile(error, (0.1, 0.9)), color=BLUE)
        axes.plot(centres, medians, "o", color=ORANGE)
        axes.set(xlabel=f"{name}, measured: mean of each tenth", ylabel="predicted - measured")
    lean = ", ".join(f"{'+' if median >= 0 else ''}{in_digits(median)}" for median in medians)
    return Picture(
        drawing.svg,
        f"Median error of {name} in each tenth of the measured numbers, from the smallest to the largest: {lean}.",
    )
