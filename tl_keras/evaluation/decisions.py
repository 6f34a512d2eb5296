"""Chooses thresholds by predictions that a model was not trained on, and measures the decisions that they make."""

from __future__ import annotations

from typing import Any

import numpy as np

from tl_keras.evaluation.average_precision import average_precision, best_threshold
from tl_keras.evaluation.metrics import accuracy_interval

# Number of points of a curve that a result holds.
_POINTS = 100


def choose_threshold(
    has: np.ndarray, scores: np.ndarray, *, min_precision: float, min_recall: float
) -> tuple[float, bool]:
    """Returns the score from which on an image is taken for the positive class, 0 to 1, and whether it gives what is asked for.

    For a precision it is the lowest score above which at most the allowed part of the answers is wrong, one wrong answer added,
    which keeps the promise for further images on average (Barber and Candès 2015, "knockoff+"). For a recall it is the score of
    the k-th lowest of the n positive images, k = floor((1 - recall) (n + 1)), below which a further one lies with a
    probability of at most 1 - recall (Vovk et al. 2005). Of too few images for either, it is the nearest to what is asked for: the
    highest score, or the lowest of a positive image. Without either it has the largest F1.

    Args:
      has: bool (n,), whether each image is of the class.
      scores: float (n,), probabilities of the class, n at least 1.
      min_precision: Precision asked for, 0 for none.
      min_recall: Recall asked for, 0 for none.
    """
    if min_recall:
        positive = np.sort(scores[has])
        rank = int(np.floor((1 - min_recall) * (len(positive) + 1) + 1e-9))
        lowest = positive if len(positive) else np.sort(scores)
        return float(lowest[max(rank, 1) - 1]), rank >= 1
    if min_precision:
        found = lowest_that_is_right(has, scores, part=min_precision)
        return (float(scores.max()), False) if found is None else (found, True)
    return best_threshold(has, scores), True


def lowest_that_is_right(right: np.ndarray, scores: np.ndarray, *, part: float) -> float | None:
    """Returns the lowest score from which on at most 1 - `part` of the images are wrong, one wrong image added; None without one.

    Args:
      right: bool (n,).
      scores: float (n,), higher for images that are likelier to be right.
      part: Part of the images that is to be right, above 0 and below 1.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, answered = scores[order], np.arange(1, len(scores) + 1)
    good = np.cumsum(~right[order]) + 1 <= (1 - part) * answered + 1e-9
    good &= np.append(ranked[:-1] > ranked[1:], True)[: len(good)]  # equal scores are answered alike
    return float(ranked[np.flatnonzero(good)[-1]]) if good.any() else None


def positive_metrics(has: np.ndarray, found: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Measures the answers for one class against all others.

    Args:
      has: bool (n,), whether each image is of the class.
      found: bool (n,), whether it is answered so.
      scores: float (n,), probabilities of the class.

    Returns:
      `precision` and `recall`, each with its 95% interval (Wilson's) as `precision_interval` and `recall_interval`, all None where
      there is nothing to count; `average_precision`; and `curve`, at most 100 pairs of recall and precision.
    """
    right = int(np.sum(has & found))
    figures: dict[str, Any] = {}
    for name, of in (("precision", int(found.sum())), ("recall", int(has.sum()))):
        figures[name] = right / of if of else None
        figures[f"{name}_interval"] = list(accuracy_interval(right / of, of)) if of else None
    order = np.argsort(-scores, kind="stable")
    rights = np.cumsum(has[order])
    curve = _curve(rights / max(int(has.sum()), 1), rights / np.arange(1, len(scores) + 1))
    return {**figures, "average_precision": average_precision(has.astype(np.int64), scores), "curve": curve}


def cost_metrics(labels: np.ndarray, answers: np.ndarray, likeliest: np.ndarray, costs: np.ndarray) -> dict[str, Any]:
    """Measures what answers cost per image, beside the most probable class and the cheapest single answer for all.

    Args:
      labels: int64 (n,), right classes.
      answers: int64 (n,).
      likeliest: int64 (n,), most probable classes.
      costs: float (classes, classes), by right class and answer.
    """
    return {
        "mean_cost": float(costs[labels, answers].mean()),
        "mean_cost_of_the_likeliest": float(costs[labels, likeliest].mean()),
        "mean_cost_of_one_answer": float(costs[labels].mean(axis=0).min()),
    }


def refusal_metrics(right: np.ndarray, confidence: np.ndarray, refused: np.ndarray) -> dict[str, Any]:
    """Measures the answers that are given where others are refused.

    Args:
      right: bool (n,), whether each answer is right.
      confidence: float (n,), probability of the answer.
      refused: bool (n,).

    Returns:
      `coverage`, the part of the images that are answered; `accuracy` of these with its 95% `interval`, None if there are none;
      and `curve`, at most 100 pairs of coverage and accuracy.
    """
    given = int(np.sum(~refused))
    accuracy = float(right[~refused].mean()) if given else None
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(right) + 1)
    return {
        "coverage": given / len(right),
        "accuracy": accuracy,
        "interval": None if accuracy is None else list(accuracy_interval(accuracy, given)),
        "curve": _curve(answered / len(right), np.cumsum(right[order]) / answered),
    }


def _curve(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Returns at most 100 of the points of a curve, float (n,) each, spread evenly over it."""
    places = np.unique(np.linspace(0, len(x) - 1, min(_POINTS, len(x))).round().astype(np.int64))
    return np.stack([x, y], axis=1)[places].round(4).tolist()
