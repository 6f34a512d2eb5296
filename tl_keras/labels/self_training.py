"""Gives unlabelled images labels, and finds out whether they help: class-balanced self-training on features.

A classifier fitted to the true labels answers for the unlabelled images; its calibrated answers are balanced so that each class
gets its share of them (Cuturi 2013, as Tai, Bailis and Valiant 2021 do in "Sinkhorn label allocation"), and of each class the most
confident part is taken as labelled, in a second round a larger part by a classifier that has seen the first (Lee 2013; Zou et al.
2018, "class-balanced self-training"). Given labels weigh as much as the true ones together, not more.
`benchmarks/pseudo_labels.py` measures what that gains, and what it costs where it hurts.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tl_keras.evaluation.calibration import fit_temperature
from tl_keras.probes.transferability import FOLDS, fit_classifier, fold_of_each, linear_probe

# Parts of the images of each class that the rounds take.
_PARTS = (0.5, 0.8)

_BALANCING_STEPS = 20
_REPETITIONS = 5

# Largest number of unlabelled images by which the gain is measured; the answer does not need more, and time grows with them.
_MEASURED = 2_000

# Fewest true labels of the rarest class: without one, a fold could not ask for the class.
FEWEST_OF_A_CLASS = 3


@dataclasses.dataclass(frozen=True)
class GivenLabels:
    """Labels that were given to unlabelled images.

    Attributes:
      rows: Positions of the images that got one, int64 (k,), ascending.
      labels: int64 (k,).
    """

    rows: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Gain:
    """The effect of given labels on the accuracy over true labels, out of fold.

    Attributes:
      before: Accuracy of a classifier fitted to true labels alone.
      after: Accuracy with given labels beside them, given by classifiers that have not seen the image either.
      noise: Standard error of the difference over repetitions with other folds.
    """

    before: float
    after: float
    noise: float

    @property
    def helps(self) -> bool:
        """Returns whether the accuracy rises by more than noise."""
        return self.after - self.before > self.noise


def give_labels(scaled: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0) -> GivenLabels:
    """Gives labels to images.

    Args:
      scaled: Features from `along_components`, float (n + m, d): first those of the n images with a true label.
      labels: True labels, int64 (n,), of two classes at least.
      temperature: Divisor of the classifier's logits that calibrates it.
    """
    new, (classes, counts) = scaled[len(labels) :], np.unique(labels, return_counts=True)
    given = GivenLabels(np.zeros(0, np.int64), np.zeros(0, np.int64))
    for part in _PARTS:
        classifier = fit_with(scaled, labels, given)
        balanced = _balanced(_calibrated(classifier.predict_proba(new), temperature), counts / len(labels))
        best, sure = balanced.argmax(axis=1), balanced.max(axis=1)
        taken = []
        for label in range(len(classes)):
            members = np.flatnonzero(best == label)
            taken.append(members[np.argsort(-sure[members], kind="stable")][: int(np.ceil(part * len(members)))])
        rows = np.sort(np.concatenate(taken))
        given = GivenLabels(rows, classes[best[rows]])
    return given


def measure_gain(scaled: np.ndarray, labels: np.ndarray, *, groups: np.ndarray, seed: int) -> tuple[Gain, float]:
    """Measures what given labels do for images whose true label neither classifier has seen.

    Args:
      scaled: As in `give_labels`.
      labels: True labels, int64 (n,).
      groups: Group of each of these images, int64 (n,); images of a group are in one fold.
      seed: Seed of the folds.

    Returns:
      The gain, and the temperature that calibrates the classifier.
    """
    classes = int(labels.max()) + 1
    probe = linear_probe(scaled[: len(labels)], labels, classes=classes, groups=groups, seed=seed)
    logits = np.log(np.maximum(probe.probabilities, np.finfo(np.float32).tiny))
    temperature = fit_temperature(logits, labels)
    random = np.random.default_rng(seed)
    new = scaled[len(labels) :][np.sort(random.permutation(len(scaled) - len(labels))[:_MEASURED])]
    right: np.ndarray = np.zeros((2, _REPETITIONS))
    with threadpool_limits(1):
        for repetition in range(_REPETITIONS):
            fold = fold_of_each(labels, groups, seed=seed + repetition)
            for each in range(FOLDS):
                asked, shown = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
                if len(np.unique(labels[shown])) < 2:  # one group is all of the others
                    continue
                known = np.concatenate([scaled[shown], new])
                for row, given in enumerate((None, give_labels(known, labels[shown], temperature=temperature))):
                    answers = fit_with(known, labels[shown], given).predict(scaled[asked])
                    right[row, repetition] += np.sum(answers == labels[asked])
    before, after = right / len(labels)
    noise = float(np.std(after - before, ddof=1) / np.sqrt(_REPETITIONS))
    return Gain(float(before.mean()), float(after.mean()), noise), temperature


def fit_with(scaled: np.ndarray, labels: np.ndarray, given: GivenLabels | None) -> LogisticRegression:
    """Returns the classifier of true labels, and of given ones beside them, which together weigh no more than the true ones."""
    if given is None or not len(given.rows):
        return fit_classifier(scaled[: len(labels)], labels)
    rows = np.concatenate([np.arange(len(labels)), len(labels) + given.rows])
    weight = min(1.0, len(labels) / len(given.rows))
    weights = np.concatenate([np.ones(len(labels)), np.full(len(given.rows), weight)])
    return fit_classifier(scaled[rows], np.concatenate([labels, given.labels]), weights)


def _calibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.maximum(probabilities, np.finfo(np.float32).tiny) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _balanced(probabilities: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 (m, classes), scaled by class and row so that each class has its share of all images."""
    balanced = probabilities + 1e-9
    for _ in range(_BALANCING_STEPS):
        balanced = balanced / balanced.sum(axis=0) * share * len(balanced)
        balanced = balanced / balanced.sum(axis=1, keepdims=True)
    return balanced
