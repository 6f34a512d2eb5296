"""Measures whether a score of 0.8 is right eight times in ten, and fits the one number that corrects it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

# Number of standard errors of the slope of the likelihood within which the temperature stays at 1.
_STANDARD_ERRORS = 2.0

# Number of temperatures fitted out of fold, each measured on the images left out.
_FOLDS = 10

# Guo et al. 2017, table 1.
_BINS = 15


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature that makes held-out labels likely under softmax(logits / temperature), shrunk towards 1.

    Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2), shrunk towards 1 according to the
    number of images. For a model whose probabilities are right, the slope of the log-likelihood at temperature 1 is 0 except for
    chance, and its variance is that of the logits under those probabilities (the score test of Rao 1948). Within two standard
    errors the temperature stays at 1; beyond, it moves as far as the slope exceeds them, like an estimate with the lasso's penalty
    (Tibshirani 1996). 1 is added to the variance, so that one image of which the model was certain does not decide. The order of
    the classes, and so the accuracy, does not change.

    Args:
      logits: float32 (n, classes), of images that were not trained on; n may be 0.
      labels: int64 (n,), positions of the right classes.

    Returns:
      A positive number: above 1 if the model was too confident, 1 if the images do not tell.
    """
    logits, rows = logits.astype(np.float64), np.arange(len(labels))
    logits -= logits.max(axis=-1, keepdims=True)

    def slope(log_temperature: float) -> float:
        """Returns the derivative of the negative log-likelihood by the logarithm of the temperature."""
        scaled = logits / math.exp(log_temperature)
        expected = (softmax(scaled, axis=-1) * scaled).sum(axis=-1)
        return float((scaled[rows, labels] - expected).sum())

    probabilities = softmax(logits, axis=-1)
    means = (probabilities * logits).sum(axis=-1, keepdims=True)
    variance = float((probabilities * (logits - means) ** 2).sum())
    allowed = _STANDARD_ERRORS * math.sqrt(variance + 1)
    start = slope(0.0)
    if abs(start) <= allowed:
        return 1.0
    end = far = math.copysign(1.0, -start)
    while abs(slope(end)) > allowed and slope(end) * start > 0:
        end += far
    return math.exp(brentq(lambda at: slope(at) - math.copysign(allowed, start), 0.0, end))


def out_of_fold_probabilities(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 (n, classes), of each image, calibrated by a temperature fitted without it.

    Ten temperatures are each fitted to nine tenths of the images. If images are ordered by class, every fold has some images
    of each class.

    Args:
      logits: float32 (n, classes), n at least 1.
      labels: int64 (n,).
    """
    probabilities: np.ndarray = np.empty(logits.shape)
    for asked in folds_of(len(labels)):
        temperature = fit_temperature(logits[~asked], labels[~asked])
        probabilities[asked] = softmax(logits[asked].astype(np.float64) / temperature, axis=-1)
    return probabilities


def folds_of(images: int) -> list[np.ndarray]:
    """Returns which images are asked by each of ten temperatures, which is fitted to the others; each bool (images,)."""
    fold: np.ndarray = np.arange(images) % _FOLDS
    return [fold == number for number in np.unique(fold)]


def mean_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative log-likelihood of the labels, in nats, 0 or more.

    Args:
      probabilities: float64 (n, classes), rows that sum to 1, n at least 1.
      labels: int64 (n,).
    """
    of_right_class = probabilities[np.arange(len(labels)), labels]
    return -float(np.log(np.maximum(of_right_class, np.finfo(np.float64).tiny)).mean())


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A temperature, with its effect on images that it was not fitted to.

    Attributes:
      temperature: Temperature fitted to all validation images.
      error: Expected calibration error on validation, before and after, 0 to 1; None where there are no probabilities.
      negative_log_likelihood: Mean on validation in nats, before and after; None in models of an older version, whose
        error after was measured on the images that the temperature was fitted to.
      images: Number of validation images.
    """

    temperature: float
    error: tuple[float, float] | None
    negative_log_likelihood: tuple[float, float] | None
    images: int

    def to_json(self) -> dict[str, Any]:
        """Returns the figures for people, for `result.json`."""
        if self.error is None:
            return {}
        values = {
            "temperature": self.temperature,
            "expected_calibration_error_before": self.error[0],
            "expected_calibration_error": self.error[1],
        }
        if self.negative_log_likelihood is None:
            return {
                **values,
                "measured_on": f"{self.images} validation images, those that the temperature was fitted to",
            }
        before, after = self.negative_log_likelihood
        return {
            **values,
            "negative_log_likelihood_before": before,
            "negative_log_likelihood": after,
            "measured_on": f"{self.images} validation images, each by a temperature fitted without it",
        }


def calibrate(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fits a temperature to validation images, and measures the effect of temperatures fitted out of fold on them.

    Args:
      logits: float32 (n, classes), n at least 1.
      labels: int64 (n,).
    """
    before, after = softmax(logits.astype(np.float64), axis=-1), out_of_fold_probabilities(logits, labels)
    return Calibration(
        temperature=fit_temperature(logits, labels),
        error=(expected_calibration_error(before, labels), expected_calibration_error(after, labels)),
        negative_log_likelihood=(mean_log_loss(before, labels), mean_log_loss(after, labels)),
        images=len(labels),
    )


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Mean scores and accuracies in 15 bins of equal width from 0 to 1; all arrays are (15,).

    Attributes:
      images: int64, number of images whose best score falls into the bin.
      score: float64, mean best score of those images; 0 if there are none.
      accuracy: float64, part of those images that is right; 0 if there are none.
    """

    images: np.ndarray
    score: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Returns the expected calibration error, 0 to 1 (Guo et al. 2017, equation 3)."""
        return float((self.images * np.abs(self.accuracy - self.score)).sum() / self.images.sum())


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Returns how often scores are right (Guo et al. 2017, figure 1).

    Args:
      probabilities: float32 (n, classes), rows that sum to 1, n at least 1.
      labels: int64 (n,), positions of the right classes.
    """
    scores, right = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == labels
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    images = np.bincount(bins, minlength=_BINS)
    sums = (np.bincount(bins, weights=values, minlength=_BINS) for values in (scores, right))
    return Reliability(images, *(each / np.maximum(images, 1) for each in sums))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the distance between scores and accuracy, 0 to 1; see `reliability`."""
    return reliability(probabilities, labels).error
