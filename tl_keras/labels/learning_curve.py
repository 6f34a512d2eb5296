"""Says what more labels will bring: a learning curve of a linear probe, fitted to subsets of the labelled images.

The error falls as a power of the number of labels, towards a floor (Hestness et al. 2017, arXiv 1712.00409; Mahmood et al. 2022,
"How Much More Data Do I Need?", on such forecasts). Three things make a forecast uncertain, and the interval holds all of them:

- **Few labelled images.** Whether an image is predicted right is known of the labelled ones alone. A logistic regression on the
  probe's confidence carries it over to all images (Platt 1999), so that labels need not be drawn at random: an image that was asked
  for because the probe was unsure of it says what becomes of such images. The error is that of the delta method, with the
  correction of Nadeau and Bengio (2003) for training images that the folds share.
- **One set of labels of many.** A repetition with other subsets gives another curve, and the labels that will be given are one set.
- **Many curves fit.** Exponents and floors are not chosen but averaged, each as likely as it makes the curve that was seen (as
  Domhan et al. 2015 do with curves over epochs).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from threadpoolctl import threadpool_limits

from tl_keras.labels.herding import lie_apart, order_of_worth
from tl_keras.probes.transferability import FOLDS, fit_classifier, fold_of_each
from tl_keras.probes.vectors import directions

# Sizes of the subsets as parts of the labelled images, and of those that leave a fold out, by which answers are judged.
_PARTS = (0.15, 0.25, 0.38, 0.55, 0.75, 1.0)
_OF_FOLDS = (0.25, 0.5, 0.8)
_REPETITIONS = 3

# Exponents, and floors as parts of the error at the largest size: all that a learning curve can have. At an exponent of 1 the error
# falls as that of a model of the right form, at 0 it does not fall.
_EXPONENTS = np.linspace(0.05, 1.0, 20)
_FLOORS = np.linspace(0.0, 0.95, 20)

_DRAWS, _INTERVAL = 4_000, (0.05, 0.95)

# Fewest labelled images that say anything about more of them, the most that are used, and the most images at large.
FEWEST = 30
_MOST = 2_000


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number with its 90% interval.

    Attributes:
      value: The number.
      low: Lower end of the interval.
      high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {(self.high - self.low) / 2:.2f}"


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a linear probe makes of the labels there are, and of more.

    Attributes:
      images: Number of labelled images.
      more: Number of further labels.
      now: Accuracy with the labels there are.
      then: Accuracy with so many more.
      gain: Difference of the two.
      curve: Numbers of labels and the accuracy with them, in pairs.
    """

    images: int
    more: int
    now: Figure
    then: Figure
    gain: Figure
    curve: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        low, high = round(self.gain.low, 2), round(self.gain.high, 2)
        gain = f"a gain of {low:+.2f} to {high:+.2f}, 90% interval" if high > 0 else "a gain of less than 0.01"
        return f"{self.more} more: accuracy {self.now} -> {self.then} ({gain})"


@dataclasses.dataclass(frozen=True)
class _Curve:
    """Accuracies that were seen.

    Attributes:
      sizes: Numbers of labels, int64 (k,), ascending.
      accuracy: Accuracy over images at large with each, float64 (k,).
      covariance: Covariance of its errors, float64 (k, k).
      noise: Variance of the accuracy over sets of labels, times their number.
    """

    sizes: np.ndarray
    accuracy: np.ndarray
    covariance: np.ndarray
    noise: float


def forecast(scaled: np.ndarray, labels: np.ndarray, *, more: int, seed: int, measured_on: int = 0) -> Forecast | None:
    """Forecasts the accuracy with more labels; None if there are too few to say.

    Args:
      scaled: float (n + m, d), features from `along_components`: first those of n labelled images, then of m others; together they
        are images at large.
      labels: int64 (n,).
      more: Number of further labels.
      seed: Seed of folds and draws.
      measured_on: Number of images on which the accuracies will be measured; the intervals of `now` and `then` hold the noise of
        that too. 0 for the accuracies over all such images.
    """
    images = len(labels)
    if images < FEWEST or np.sum(np.bincount(labels) > 1) < 2 or len(scaled) == images:
        return None
    random = np.random.default_rng(seed)
    used = np.sort(random.permutation(images)[:_MOST])
    # Of images at large some labelled ones too, in proportion: the others alone are what a choice has left.
    at_large = np.sort(random.permutation(len(scaled))[:_MOST])
    others = at_large[at_large >= images]
    known = _Known(scaled[np.concatenate([used, others])], labels[used], np.flatnonzero(np.isin(used, at_large)))
    curve = _measured(known, random)
    numbers = np.array([images, images + more])
    error_now, error_then = _of_one_set(_drawn_errors(curve, numbers, random), curve, numbers, random)
    now, then = ((1 - errors, _as_measured(1 - errors, measured_on, random)) for errors in (error_now, error_then))
    return Forecast(
        images=images,
        more=more,
        now=_figure(*now),
        then=_figure(*then),
        gain=_figure(error_now - error_then, error_now - error_then),
        curve=tuple(zip(curve.sizes.tolist(), curve.accuracy.round(4).tolist(), strict=True)),
    )


@dataclasses.dataclass(frozen=True)
class _Known:
    """Images by which a curve is measured.

    Attributes:
      scaled: Features, float (n + m, d), first of the labelled ones.
      labels: int64 (n,).
      at_large: Positions of the labelled ones that count among the images at large, int64 (k,).
    """

    scaled: np.ndarray
    labels: np.ndarray
    at_large: np.ndarray

    @functools.cached_property
    def cosines(self) -> np.ndarray:
        """Returns the cosine of each image with each labelled one, float32 (n + m, n)."""
        unit = directions(self.scaled.astype(np.float32), np.zeros(self.scaled.shape[1], np.float32))
        return unit @ unit[: len(self.labels)].T

    def answers(self, shown: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns what a probe on some labelled images says of others.

        Returns:
          Labels, int64 (k,); and by which it may be known whether they are right, float64 (k, 3): the log odds of the answer, the
          cosine with the nearest image that the probe has seen, and the logarithm of their number.
        """
        known = np.unique(self.labels[shown])
        if len(known) < 2:
            found, sure = np.full(len(asked), known[0]), np.full(len(asked), 0.5)
        else:
            probabilities = fit_classifier(self.scaled[shown], self.labels[shown]).predict_proba(self.scaled[asked])
            found, sure = known[probabilities.argmax(axis=1)], np.clip(probabilities.max(axis=1), 1e-6, 1 - 1e-6)
        nearest = self.cosines[np.ix_(asked, shown)].max(axis=1)
        return found, np.stack([np.log(sure / (1 - sure)), nearest, np.full(len(asked), np.log(len(shown)))], axis=1)


def _measured(known: _Known, random: np.random.Generator) -> _Curve:
    """Returns the accuracy of probes on subsets of the labelled images, over images at large."""
    images = len(known.labels)
    others = np.arange(images, len(known.scaled))
    with threadpool_limits(1):
        of_folds, right, seen = _out_of_fold(known, random)
        calibration = _Calibration(seen, right)
        sizes, subsets = _subsets(known, random)
        accuracy, influence, sure = np.zeros(len(sizes)), [], []
        for column, size in enumerate(sizes.tolist()):
            # Labelled images are judged by the probes that have not seen them, of the size that is nearest.
            own = seen[:, int(np.abs(of_folds - size).argmin()), known.at_large].reshape(-1, seen.shape[-1])
            drawn = [known.answers(subset[:size], others)[1] for subset in subsets]
            own_right = calibration(own).reshape(_REPETITIONS, -1).mean(axis=0)
            sure.append(np.concatenate([own_right, np.mean([calibration(each) for each in drawn], axis=0)]))
            accuracy[column] = sure[-1].mean()
            share = len(known.at_large) / len(sure[-1])
            slope = share * calibration.slope(own) if len(own) else 0.0
            slope = slope + (1 - share) * calibration.slope(np.concatenate(drawn))
            influence.append(calibration.influence(slope))
    # Beside 1 / n, which images that are independent have: the folds share training images (Nadeau and Bengio 2003).
    shared = FOLDS * (1 / (FOLDS * _REPETITIONS) + 1 / (FOLDS - 1))
    of_images = shared * np.stack(influence) @ np.stack(influence).T / images**2 + np.cov(sure) / len(sure[0])
    # The variance over sets falls as their size grows; the probes of a repetition have seen sets that are nearly independent.
    noise = FOLDS * float(np.mean(of_folds * right.mean(axis=-1).var(axis=0, ddof=1)))
    of_subsets = noise / sizes / len(subsets) + 1 / (12 * images**2)  # an accuracy is known to one of n
    return _Curve(sizes, accuracy, of_images + np.diag(of_subsets), noise)


def _out_of_fold(known: _Known, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asks probes on subsets of the other folds for each labelled image.

    Returns:
      Sizes of the subsets, int64 (k,); whether the answer is right, bool (repetitions, k, n); and by which that may be known,
      float64 (repetitions, k, n, 3).
    """
    images = len(known.labels)
    sizes = np.unique(np.round(np.array(_OF_FOLDS) * images).astype(np.int64))
    right: np.ndarray = np.zeros((_REPETITIONS, len(sizes), images), bool)
    seen: np.ndarray = np.zeros((*right.shape, 3))
    for repetition in range(_REPETITIONS):
        fold = fold_of_each(known.labels, np.arange(images), seed=int(random.integers(2**31)))
        for each in range(FOLDS):
            asked, shown = np.flatnonzero(fold == each), random.permutation(np.flatnonzero(fold != each))
            for column, size in enumerate(sizes.tolist()):
                found, seen[repetition, column, asked] = known.answers(shown[:size], asked)
                right[repetition, column, asked] = found == known.labels[asked]
    return sizes, right, seen


def _subsets(known: _Known, random: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns sizes of subsets, int64 (k,), and orders of the labelled images, whose beginnings are the subsets.

    The orders are random. Labels that were asked for, which lie apart, have one, that in which they would have been asked for.
    """
    images = len(known.labels)
    sizes = np.unique(np.round(np.array(_PARTS) * images).astype(np.int64))
    vectors = directions(known.scaled.astype(np.float32), np.zeros(known.scaled.shape[1], np.float32))
    if lie_apart(vectors[:images], vectors, seed=int(random.integers(2**31))):
        return sizes, [order_of_worth(vectors[:images], covered=vectors)]
    return sizes, [random.permutation(images) for _ in range(_REPETITIONS)]


class _Calibration:
    """The probability that an answer is right, a logistic regression on what may tell it, with Platt's targets (Platt 1999).

    Args:
      seen: Values by which it may be known, float64 (..., n, 3), of the labelled images.
      right: Whether the answers were right, bool (..., n).
    """

    def __init__(self, seen: np.ndarray, right: np.ndarray):
        values, self._shape = seen.reshape(-1, seen.shape[-1]), right.shape
        self._mean, self._deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
        was_right, repeated = right.ravel(), right.size / right.shape[-1]
        hits, misses = was_right.sum() / repeated, (~was_right).sum() / repeated
        target = np.where(was_right, (hits + 1) / (hits + 2), 1 / (misses + 2))
        design = self._design(values)[:, 1:]
        weights = np.concatenate([target, 1 - target]) / repeated
        self._fitted = fit_classifier(np.concatenate([design, design]), np.repeat([1, 0], len(design)), weights)
        self._values, self._off = values, was_right - self(values)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Returns the probability that answers are right, float64 (k,), by what may tell it, float64 (k, 3)."""
        return self._fitted.predict_proba(self._design(values)[:, 1:])[:, 1] if len(values) else np.zeros(0)

    def slope(self, values: np.ndarray) -> np.ndarray:
        """Returns the slope of the mean probability in the coefficients, float64 (4,)."""
        probability = self(values)
        return np.mean(self._design(values) * (probability * (1 - probability))[:, np.newaxis], axis=0)

    def influence(self, slope: np.ndarray) -> np.ndarray:
        """Returns n times what each labelled image has moved a mean with such a slope by, float64 (n,): the delta method."""
        design, probability = self._design(self._values), self(self._values)
        information = (design * (probability * (1 - probability))[:, np.newaxis]).T @ design / len(design)
        moved = design @ np.linalg.solve(information + 1e-6 * np.eye(len(slope)), slope) * self._off
        return moved.reshape(-1, self._shape[-1]).mean(axis=0)

    def _design(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ones((len(values), 1)), (values - self._mean) / self._deviation], axis=1)


def _drawn_errors(curve: _Curve, numbers: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws errors with so many labels from all curves that fit, float64 (numbers, draws).

    A curve is an error times a shape, floor + (1 - floor) * (number / largest size) ** -exponent. Given its shape, the error is
    normal; a shape is as likely as it makes what was seen.

    Args:
      curve: Accuracies that were seen.
      numbers: Numbers of labels, int64 (k,).
      random: Generator of the draws.
    """
    floors, exponents = (each.ravel() for each in np.meshgrid(_FLOORS, _EXPONENTS))

    def shapes(of: np.ndarray) -> np.ndarray:
        return floors[:, np.newaxis] + (1 - floors[:, np.newaxis]) * (of / curve.sizes[-1]) ** -exponents[:, np.newaxis]

    seen, errors, precision = shapes(curve.sizes), 1 - curve.accuracy, np.linalg.inv(curve.covariance)
    variance = 1 / np.einsum("sk,kl,sl->s", seen, precision, seen)
    best = variance * (seen @ precision @ errors)
    off = errors - best[:, np.newaxis] * seen
    log_likelihood = 0.5 * (np.log(variance) - np.einsum("sk,kl,sl->s", off, precision, off))
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    shape = random.choice(len(floors), _DRAWS, p=likelihood / likelihood.sum())
    error = np.maximum(random.normal(best[shape], np.sqrt(variance[shape])), 0)
    return np.clip(error * shapes(numbers)[shape].T, 0, 1)


def _of_one_set(errors: np.ndarray, curve: _Curve, numbers: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns expected errors, float64 (2, draws), as those of one set of labels and of one that contains it."""
    now, then = np.sqrt(curve.noise / numbers)
    of_then = random.normal(0, then, errors.shape[1])
    of_now = of_then + random.normal(0, np.sqrt(now**2 - then**2), errors.shape[1])
    return np.clip(errors + [of_now, of_then], 0, 1)


def _as_measured(accuracy: np.ndarray, images: int, random: np.random.Generator) -> np.ndarray:
    """Returns accuracies, float64 (k,), as they are found on so many images; as they are, for 0."""
    return random.binomial(images, accuracy) / images if images else accuracy


def _figure(values: np.ndarray, measured: np.ndarray) -> Figure:
    """Returns the median of draws, float64 (k,), with the interval of those that will be measured."""
    value = float(np.median(values))
    low, high = np.quantile(measured, _INTERVAL)
    return Figure(value, float(min(low, value)), float(max(high, value)))
