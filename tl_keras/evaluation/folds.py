"""Measures a score over folds: the interval of a figure to which every image contributed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tl_keras.console import number_of
from tl_keras.evaluation.metrics import accuracy_interval

# Half width of an interval from which on the images that were held out do not tell one model from another: models that are worth
# choosing between differ by a few points. Wilson's interval is as wide at 80 images and an accuracy of 0.7.
_WIDE = 0.1

# Half width from which on a number would say too much; R² has no lower end.
_TELLS_NOTHING = 0.5

# Accuracy by which it is judged, before anything is trained, whether images are too few.
_TYPICAL_ACCURACY = 0.7

# More change the ratio of two widths by less than a few groups do.
_RESAMPLES = 200


def fold_interval(
    score: float, interval: tuple[float, float], *, folds: int, design_effect: float = 1.0, most: float = 1.0
) -> tuple[float, float]:
    """Returns the 95% interval of an out-of-fold score.

    The models of two folds share most of their images, so that their errors go together, and the interval of as many independent
    answers is too short (Bengio and Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation"). Its
    variance is multiplied by a factor of Nadeau and Bengio 2003, "Inference for the generalization error": 1 + folds * (held
    out / trained on), whose last fraction is 1 / (folds - 1). `python -m benchmarks.fold_interval` measures how often it covers.

    Args:
      score: Score over all images.
      interval: 95% interval of the same score if the answers were independent.
      folds: Number of folds, at least 2.
      design_effect: Factor of the variance because images of a group are alike, from `design_effect`.
      most: Largest possible score; an error has none.
    """
    return widened(score, interval, (1 + folds / (folds - 1)) * design_effect, most=most)


def widened(score: float, interval: tuple[float, float], factor: float, *, most: float = 1.0) -> tuple[float, float]:
    """Returns an interval whose variance is multiplied by a factor; it leaves 0 to `most` no further than it did.

    Args:
      score: Score that it is around.
      interval: Its ends.
      factor: Factor of the variance, at least 1.
      most: Largest possible score.
    """
    low, high = (score + math.sqrt(factor) * (end - score) for end in interval)
    return max(low, min(0.0, interval[0])), min(high, max(most, interval[1]))


def design_effect(score_of: Callable[[np.ndarray], float], group: np.ndarray) -> float:
    """Returns the factor by which groups enlarge the variance of a score, at least 1 (Kish 1965, "Survey Sampling").

    It is the variance over draws of whole groups, with replacement, by that over draws of images. Where neither varies, because
    every answer is right, a group counts as one image.

    Args:
      score_of: Function from positions of images, int64 (k,), to their score.
      group: Group of each image, int64 (n,).
    """
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    if len(members) == len(group):
        return 1.0
    random = np.random.default_rng(0)
    of_groups = [
        score_of(np.concatenate([members[one] for one in random.integers(0, len(members), len(members))]))
        for _ in range(_RESAMPLES)
    ]
    of_images = [score_of(random.integers(0, len(group), len(group))) for _ in range(_RESAMPLES)]
    if not np.var(of_images) or not np.var(of_groups):
        return len(group) / len(members)
    return max(1.0, float(np.var(of_groups) / np.var(of_images)))


def is_too_wide(interval: Sequence[float]) -> bool:
    """Returns whether a 95% interval of a score is so wide that the score decides nothing, and folds are advised."""
    return (interval[1] - interval[0]) / 2 > _WIDE


def interval_to_expect(images: int) -> tuple[float, float]:
    """Returns the 95% interval of an accuracy of 0.7 that is measured on this many images, 1 at least.

    Args:
      images: Their number.
    """
    return accuracy_interval(_TYPICAL_ACCURACY, max(images, 1))


def tell_little(images: int) -> bool:
    """Returns whether a score of so few images decides nothing, see `is_too_wide`: fewer than 78.

    Args:
      images: Their number.
    """
    return is_too_wide(interval_to_expect(images))


def advice_on_folds(
    interval: Sequence[float], *, images: int, split: str, score_name: str, inputs: str = "images"
) -> str:
    """Returns a sentence if a score was measured on too few images to decide anything, otherwise an empty text.

    Args:
      interval: 95% interval of the score.
      images: Number of images that it was measured on.
      split: Name of their split.
      score_name: Name of the score in words.
      inputs: Word for what was measured, `images` or `texts`.
    """
    if not is_too_wide(interval):
        return ""
    half = (interval[1] - interval[0]) / 2
    told = f"the {score_name} to ±{half:.2f} only" if half < _TELLS_NOTHING else f"next to nothing of the {score_name}"
    tell = "tells" if images == 1 else "tell"
    return (
        f"{number_of(images, f'{split} {inputs[:-1]}')} {tell} {told}: --folds=5, with another --workdir, measures it on "
        f"all labelled {inputs} and trains the final model on all of them"
    )
