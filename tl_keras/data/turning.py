"""Tests on the images themselves whether they have an upright, or may be turned by quarters in training.

Satellite photos, textures and leaves on a table have none: turned, they are images that could as well have been taken. Two things
have to hold: nobody can tell how far an image was turned, as Gidaris et al. 2018 (arXiv:1803.07728) have networks tell, and its
class stays, which is another matter where arrows up are one class and arrows down another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tl_keras.data.thumbnail_classifier import Thumbnails, error_of_chance, right_out_of_fold, tells_classes

TURNS = 4

# Images a teacher is asked about, in each turn; and fewer than these tell nothing: at 60, three standard errors are 8 points.
_MOST_IMAGES = 120
_FEWEST_IMAGES = 60

# Thumbnails that tell turns clearly spare the teacher. By MobileNetV2's features, turns of textures and leaves are told in 0.20 to
# 0.25, of printed boards and views from above in 0.34 to 0.37, of photos of flowers and objects in 0.40 to 0.60, of handwriting and
# of drawn hands in 0.64 and more (benchmarks/DIARY.md). What a teacher tells has to be below the limit by two standard errors.
_CHANCE = 1 / TURNS
_STANDARD_ERRORS_TOLD = 3.0
_MOST_TOLD = 0.375
_STANDARD_ERRORS = 2.0
_LOSS_THAT_MATTERS = 0.02  # of accuracy, where a classifier is so sure that its standard error is near 0


@dataclasses.dataclass(frozen=True)
class TurnTest:
    """The results of linear classifiers on images that they were not fitted to.

    Attributes:
      images: Number of images.
      told: Part of their turned versions, 0 to 1, of which a classifier tells how far they were turned; by chance 0.25.
      upright: Accuracy of their classes by a teacher's features, 0 to 1; None if thumbnails told turns, and none was asked.
      turned: The same of the images turned by one, two and three quarters, or None.
      allowed: Whether training may turn images.
    """

    images: int
    told: float
    upright: float | None = None
    turned: float | None = None
    allowed: bool = False

    def describe(self) -> str:
        """Returns the choice and its reason in a sentence."""
        choice = "turned by quarters" if self.allowed else "not turned"
        turns = f"says of {self.told:.0%} of turned images how far they were turned (by chance {_CHANCE:.0%})"
        if self.images < _FEWEST_IMAGES:
            return f"{choice} in training: {self.images} images cannot show whether they have an upright"
        if self.upright is None or self.turned is None:
            return f"{choice} in training: a linear classifier of thumbnails {turns}"
        return (
            f"{choice} in training: a linear classifier of the teacher's features {turns}, and is right on the class of "
            f"{self.upright:.0%} of {self.images} images, of the same turned on {self.turned:.0%}"
        )


def measure_turning(thumbnails: Thumbnails, features_of_turns: Callable[[np.ndarray], np.ndarray]) -> TurnTest:
    """Measures whether training images may be turned; the teacher is asked only if thumbnails do not tell turns.

    Args:
      thumbnails: Thumbnails of training images.
      features_of_turns: Function from images of the source, int64 (k,), to a teacher's features of them, turned by 0 to 3 quarters,
        float32 (4, k, d).

    Returns:
      The accuracies, and what they allow.
    """
    images = len(thumbnails.drawn)
    told = _told(np.stack([np.rot90(thumbnails.pixels, turn, axes=(1, 2)) for turn in range(TURNS)]))
    if images < _FEWEST_IMAGES or told > _CHANCE + _STANDARD_ERRORS_TOLD * _error(images):
        return TurnTest(images, told)
    asked = np.arange(min(images, _MOST_IMAGES))
    features, labels = features_of_turns(thumbnails.drawn[asked]), thumbnails.labels[asked]
    told = _told(features)
    answered = right_out_of_fold([(features[0], labels)], [(each, labels) for each in features])
    upright, *turned = answered.astype(np.float64)
    lost = upright - np.mean(turned, axis=0)
    error = float(np.std(lost, ddof=1) / np.sqrt(len(lost)))
    harmful = lost.mean() > max(_STANDARD_ERRORS * error, _LOSS_THAT_MATTERS)
    knows = tells_classes(upright.mean(), labels, errors=_STANDARD_ERRORS)
    has_no_upright = told + _STANDARD_ERRORS * _error(len(asked)) <= _MOST_TOLD
    allowed = bool(knows and not harmful and has_no_upright)
    return TurnTest(len(asked), told, float(upright.mean()), float(np.mean(turned)), allowed)


def _error(images: int) -> float:
    """Returns the standard error of the part that is told by chance, of so many images in four turns each."""
    return error_of_chance(_CHANCE, TURNS * images)


def _told(turns: np.ndarray) -> float:
    """Returns the part of the turned images, float32 (4, n, ...), of which a classifier tells the turn out of fold."""
    versions = [(images, np.full(len(images), turn)) for turn, images in enumerate(turns)]
    return float(right_out_of_fold(versions, versions).mean())
