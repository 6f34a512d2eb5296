"""Tests on the images themselves whether mirrored training images still belong to their class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tl_keras.data.base import Source
from tl_keras.data.decoding import decode_image

# Thumbnails of 16 pixels tell digits, letters and many scenes apart. Of 300 photos of flowers5 they take 2.3 to 2.6 s of processor
# time (AMD EPYC), and the whole test 2.4 to 2.5 s after the first.
_SIDE = 16
_MOST_IMAGES = 300
_FOLDS = 5
_RIDGE = 0.1  # times the mean eigenvalue of the kernel
_STANDARD_ERRORS = 2.0
_STANDARD_ERRORS_GREYSCALE = 1.0  # writing and X-rays are greyscale, so in doubt they are not mirrored


@dataclasses.dataclass(frozen=True)
class MirrorTest:
    """The results of a linear classifier on thumbnails that it was not fitted to, plain and mirrored.

    Attributes:
      images: Number of images.
      chance: Share of the largest class, 0 to 1.
      plain: Accuracy on the unchanged images, 0 to 1.
      mirrored: Accuracy on the same images mirrored, 0 to 1.
      broken: Number of images that are right unchanged and wrong mirrored.
      mended: Number of images that are wrong unchanged and right mirrored.
      greyscale: Whether no image has a colour.
    """

    images: int
    chance: float
    plain: float
    mirrored: float
    broken: int
    mended: int
    greyscale: bool

    @property
    def harmful(self) -> bool:
        """Returns whether mirroring costs accuracy by more than two standard errors (McNemar's test), one for greyscale."""
        errors = _STANDARD_ERRORS_GREYSCALE if self.greyscale else _STANDARD_ERRORS
        return bool(self.broken - self.mended > errors * np.sqrt(self.broken + self.mended))

    @property
    def conclusive(self) -> bool:
        """Returns whether the classifier tells the classes apart at all, by two standard errors."""
        error = np.sqrt(self.chance * (1 - self.chance) / self.images)
        return bool(self.plain > self.chance + _STANDARD_ERRORS * error)

    @property
    def allowed(self) -> bool:
        """Returns whether training may mirror; if thumbnails cannot tell, colour images are mirrored, as is usual for photos."""
        return not self.harmful and (self.conclusive or not self.greyscale)

    def describe(self) -> str:
        """Returns the choice and its reason in a sentence."""
        figures = (
            f"a linear classifier of thumbnails is right on {self.plain:.0%} of {self.images} images, "
            f"of the same mirrored on {self.mirrored:.0%}"
        )
        if self.harmful:
            return f"not mirrored in training: {figures}"
        if self.conclusive:
            return f"mirrored in training: {figures}"
        kind = "greyscale images are not" if self.greyscale else "colour images are"
        return f"{kind} mirrored in training: thumbnails cannot tell whether that changes their class"


def measure_mirroring(source: Source, indices: np.ndarray, *, seed: int) -> MirrorTest:
    """Measures the effect of mirroring on the class of images that the classifier was not fitted to.

    Args:
      source: The images.
      indices: int64 (n,), training images; of more than 300, 300 are drawn.
      seed: Seed of the draw and of the five folds.

    Returns:
      The counts and accuracies.
    """
    drawn = np.random.default_rng(seed).permutation(np.sort(indices))[:_MOST_IMAGES]
    thumbnails, labels = _thumbnails(source, drawn), source.labelling.strata(source.labels[drawn])
    mirrored = thumbnails[:, :, ::-1]
    right: np.ndarray = np.zeros(len(drawn), bool)
    right_mirrored: np.ndarray = np.zeros(len(drawn), bool)
    fold: np.ndarray = np.arange(len(drawn)) % _FOLDS
    for held_out in (fold == i for i in range(min(_FOLDS, len(drawn)))):
        predict = _fit(thumbnails[~held_out], labels[~held_out])
        right[held_out] = predict(thumbnails[held_out]) == labels[held_out]
        right_mirrored[held_out] = predict(mirrored[held_out]) == labels[held_out]
    return MirrorTest(
        images=len(drawn),
        chance=float(np.bincount(labels).max() / len(drawn)),
        plain=float(right.mean()),
        mirrored=float(right_mirrored.mean()),
        broken=int(np.sum(right & ~right_mirrored)),
        mended=int(np.sum(~right & right_mirrored)),
        greyscale=bool(np.ptp(thumbnails, axis=-1).max() < 1e-3),
    )


def _thumbnails(source: Source, indices: np.ndarray) -> np.ndarray:
    """Returns thumbnails, float32 (n, 16, 16, 3), 0 to 1."""

    def shrink(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.image.resize(decode_image(element["image"]), (_SIDE, _SIDE), method="area")
        return element["index"], image / 255.0

    thumbnails = dict(source.images(indices, then=shrink).as_numpy_iterator())
    return np.stack([thumbnails[index] for index in indices])


def _fit(thumbnails: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from thumbnails to labels: ridge regression on one-hot labels in its dual form."""
    inputs: np.ndarray = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    mean = inputs.mean(axis=0)
    centred = inputs - mean
    kernel = centred @ centred.T
    targets = np.eye(labels.max() + 1)[labels]
    ridge = _RIDGE * max(np.trace(kernel), 1e-9) / len(kernel)
    weights = centred.T @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), targets - targets.mean(axis=0))

    def predict(others: np.ndarray) -> np.ndarray:
        scores = (others.reshape(len(others), -1) - mean) @ weights + targets.mean(axis=0)
        return scores.argmax(axis=1)

    return predict
