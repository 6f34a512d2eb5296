"""Tests on the images themselves whether mirrored training images still belong to their class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tl_keras.data.thumbnail_classifier import Thumbnails, error_of_chance, right_out_of_fold

_STANDARD_ERRORS = 2.0
_STANDARD_ERRORS_GREYSCALE = 1.0  # writing and X-rays are greyscale, so in doubt they are not mirrored

# Images that a teacher is asked about, plain and mirrored, where thumbnails cannot tell; as many as of turned ones.
_MOST_IMAGES = 120


@dataclasses.dataclass(frozen=True)
class MirrorTest:
    """The results of a linear classifier on images that it was not fitted to, plain and mirrored.

    Attributes:
      images: Number of images.
      chance: Share of the largest class, 0 to 1.
      plain: Accuracy on the unchanged images, 0 to 1.
      mirrored: Accuracy on the same images mirrored, 0 to 1.
      broken: Number of images that are right unchanged and wrong mirrored.
      mended: Number of images that are wrong unchanged and right mirrored.
      greyscale: Whether no image has a colour.
      inputs: Inputs of the classifier, in words.
    """

    images: int
    chance: float
    plain: float
    mirrored: float
    broken: int
    mended: int
    greyscale: bool
    inputs: str = "thumbnails"

    @property
    def harmful(self) -> bool:
        """Returns whether mirroring costs accuracy by more than two standard errors (McNemar's test), one for greyscale."""
        errors = _STANDARD_ERRORS_GREYSCALE if self.greyscale else _STANDARD_ERRORS
        return bool(self.broken - self.mended > errors * np.sqrt(self.broken + self.mended))

    @property
    def conclusive(self) -> bool:
        """Returns whether the classifier tells the classes apart at all, by two standard errors."""
        return bool(self.plain > self.chance + _STANDARD_ERRORS * error_of_chance(self.chance, self.images))

    @property
    def allowed(self) -> bool:
        """Returns whether training may mirror; if nothing can tell, colour images are mirrored, as is usual for photos."""
        return not self.harmful and (self.conclusive or not self.greyscale)

    def describe(self) -> str:
        """Returns the choice and its reason in a sentence."""
        figures = (
            f"a linear classifier of {self.inputs} is right on {self.plain:.0%} of {self.images} images, "
            f"of the same mirrored on {self.mirrored:.0%}"
        )
        if self.harmful:
            return f"not mirrored in training: {figures}"
        if self.conclusive:
            return f"mirrored in training: {figures}"
        kind = "greyscale images are not" if self.greyscale else "colour images are"
        return f"{kind} mirrored in training: {self.inputs} cannot tell whether that changes what they show"


def measure_mirroring(
    thumbnails: Thumbnails, features_of_mirrored: Callable[[np.ndarray], np.ndarray] | None = None
) -> MirrorTest:
    """Measures the effect of mirroring on the class of images that the classifier was not fitted to.

    Args:
      thumbnails: Thumbnails of training images.
      features_of_mirrored: Function from images of the source, int64 (k,), to a teacher's features of them, plain and mirrored,
        float32 (2, k, d), which is asked if thumbnails do not tell the classes apart. None leaves it at thumbnails.

    Returns:
      The counts and accuracies.
    """
    pixels, labels = thumbnails.pixels, thumbnails.labels
    greyscale = bool(np.ptp(pixels, axis=-1).max() < 1e-3)
    by_thumbnails = _compared(pixels, pixels[:, :, ::-1], labels, greyscale, "thumbnails")
    if by_thumbnails.conclusive or features_of_mirrored is None:
        return by_thumbnails
    asked = np.arange(min(len(labels), _MOST_IMAGES))
    plain, mirrored = features_of_mirrored(thumbnails.drawn[asked])
    return _compared(plain, mirrored, labels[asked], greyscale, "the teacher's features")


def _compared(plain: np.ndarray, mirrored: np.ndarray, labels: np.ndarray, greyscale: bool, inputs: str) -> MirrorTest:
    right, right_mirrored = right_out_of_fold([(plain, labels)], [(plain, labels), (mirrored, labels)])
    return MirrorTest(
        images=len(labels),
        chance=float(np.bincount(labels).max() / len(labels)),
        plain=float(right.mean()),
        mirrored=float(right_mirrored.mean()),
        broken=int(np.sum(right & ~right_mirrored)),
        mended=int(np.sum(~right & right_mirrored)),
        greyscale=greyscale,
        inputs=inputs,
    )
