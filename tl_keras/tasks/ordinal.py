"""Implements the task of one class per image where the classes have an order: grades, stages, sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit

from tl_keras.config.choices import LabelKind
from tl_keras.evaluation.calibration import (
    Calibration,
    expected_calibration_error,
    fit_temperature,
    folds_of,
    mean_log_loss,
)
from tl_keras.evaluation.grades import error_of_kappa, grade_metrics, quadratic_weighted_kappa
from tl_keras.evaluation.highest_score import HighestScore
from tl_keras.evaluation.metrics import classification_lines
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.base import LossFn, Task, register_task
from tl_keras.tasks.epoch_metrics import QuadraticWeightedKappa


@dataclasses.dataclass(frozen=True)
class Ordinal(Task):
    """One class per image, of classes that have an order.

    The k-th logit tells whether an image goes beyond grade k where it has reached it: the sequential model of Tutz 1991, as a
    head of networks CORN (Shi, Cao and Raschka 2023), whose probabilities of "beyond grade k" never rise with k.

    Example:
      ```python
      import tl_keras

      task = tl_keras.Ordinal()
      assert task.outputs(("none", "mild", "severe")) == 2
      ```

    Attributes:
      classes: Number of classes; 0 before `with_labels`.
      temperature: Divisor of the log odds of going beyond each grade, which keeps the median; 1 before `with_predictions`.
    """

    classes: int = 0
    temperature: float = 1.0

    name: ClassVar[str] = "ordinal"
    label_kind: ClassVar[LabelKind] = "order"
    score_name: ClassVar[str] = "quadratic_weighted_kappa"
    report_sections: ClassVar[tuple[str, ...]] = ("grades", "classes", "examples")

    def with_labels(self, labels: np.ndarray) -> Ordinal:
        """Returns the task with the number of classes."""
        return dataclasses.replace(self, classes=int(labels.max()) + 1)

    def with_predictions(self, logits: np.ndarray, labels: np.ndarray) -> Ordinal:
        """Returns the task with its temperature."""
        return dataclasses.replace(self, temperature=_temperature(_log_odds(logits), labels))

    def converted(self, logits: np.ndarray, trained: Task) -> np.ndarray:
        """Returns logits that another task's temperature has calibrated."""
        assert isinstance(trained, Ordinal)
        return (
            logits if trained.temperature == 1 else self.logits_of(trained.probabilities(tf.constant(logits)).numpy())
        )

    def facts(self) -> dict[str, Any]:
        """Returns the number of classes and the temperature."""
        return {"classes": self.classes, "temperature": self.temperature}

    def with_facts(self, facts: dict[str, Any]) -> Ordinal:
        """Returns the task with what `facts` returned; earlier versions kept no temperature there, they divided the logits."""
        return Ordinal(int(facts["classes"]), float(facts.get("temperature", 1.0)))

    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of steps from one class to the next."""
        return len(class_names) - 1

    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns 1 for each grade that the label goes beyond, else 0, float32 (..., outputs)."""
        return tf.cast(labels[..., tf.newaxis] > tf.range(outputs, dtype=labels.dtype), tf.float32)

    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns inverse class frequencies, float32 (outputs + 1,), scaled so that the mean over the images is 1."""
        counts = np.bincount(labels, minlength=outputs + 1)
        return (len(labels) / ((outputs + 1) * np.maximum(counts, 1))).astype(np.float32)

    def loss(self, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
        """Returns the negative log-likelihood of the class.

        Args:
          label_smoothing: 0 to below 1; this part of a label is spread over all classes.
          class_weights: float32 (classes,), or None for equal weights.
        """

        def loss(targets: Any, logits: Any) -> Any:
            ops, steps = keras.ops, logits.shape[-1]
            evenly = ops.convert_to_tensor(1 - np.arange(1, steps + 1, dtype=np.float32) / (steps + 1))
            beyond = targets * (1 - label_smoothing) + label_smoothing * evenly
            reached = ops.concatenate([ops.ones_like(beyond[..., :1]), beyond[..., :-1]], axis=-1)
            of_going_on = ops.log_sigmoid(logits)
            losses = -ops.sum(beyond * of_going_on + (reached - beyond) * (of_going_on - logits), axis=-1)
            if class_weights is None:
                return losses
            stays = ops.concatenate([reached - beyond, beyond[..., -1:]], axis=-1)
            return losses * ops.sum(stays * class_weights, axis=-1)

        return loss

    def metric(self) -> keras.metrics.Metric:
        """Returns the quadratic weighted kappa."""
        return QuadraticWeightedKappa(self.classes, name=self.score_name)

    def selection(self, images: int, scores: Iterable[EpochScore]) -> EpochSelection:
        """Returns the rule of `tl_keras.evaluation.highest_score`."""
        return HighestScore(images, scores, standard_error=error_of_kappa)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Returns the quadratic weighted kappa, -1 to 1."""
        return quadratic_weighted_kappa(labels, self.decide(logits), logits.shape[1] + 1)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns the median grade of each image, int64 (n,), which errs by the fewest grades."""
        return (_beyond(logits) > 0.5).sum(axis=1)

    def evidence(self, logits: Any, answers: Any) -> Any:
        """Returns the sum of the logits, whose gradient shows where the student sees a reason for a higher grade."""
        return keras.ops.sum(logits, axis=-1)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> Calibration:
        """Returns the errors before and after a temperature fitted out of fold.

        The temperature of the result is 1: `probabilities` applies that of the task.
        """
        odds = _log_odds(logits)
        before, after = _probabilities(odds), np.empty((len(logits), logits.shape[1] + 1))
        for asked in folds_of(len(labels)):
            after[asked] = _probabilities(odds[asked] / _temperature(odds[~asked], labels[~asked]))
        return Calibration(
            temperature=1.0,
            error=(expected_calibration_error(before, labels), expected_calibration_error(after, labels)),
            negative_log_likelihood=(mean_log_loss(before, labels), mean_log_loss(after, labels)),
            images=len(labels),
        )

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the calibrated probability of each class, float32 (batch, classes)."""
        log_beyond = tf.cumsum(tf.math.log_sigmoid(logits), axis=-1)
        beyond = tf.exp(log_beyond)
        if self.temperature != 1:
            reached = tf.concat([tf.ones_like(beyond[:, :1]), beyond[:, :-1]], axis=-1)
            not_beyond = tf.cumsum(reached * tf.sigmoid(-logits), axis=-1)  # 1 - beyond, without its rounding
            odds = log_beyond - tf.math.log(tf.maximum(not_beyond, np.finfo(np.float32).tiny))
            beyond = tf.sigmoid(odds / self.temperature)
        return tf.concat([1 - beyond[:, :1], beyond[:, :-1] - beyond[:, 1:], beyond[:, -1:]], axis=-1)

    def logits_of(self, answers: np.ndarray) -> np.ndarray:
        """Returns the log odds of each step, of an image that has reached it, by the probabilities of the classes."""
        beyond = np.cumsum(answers[:, ::-1], axis=1)[:, ::-1][:, 1:]
        return super().logits_of(beyond) - super().logits_of(answers[:, :-1])

    def answers(self, probabilities: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns `label`, the median class, its `score`, `grade` (its position), `expected_grade` and `probabilities`."""
        at_most = tf.cumsum(probabilities, axis=-1)
        grade = tf.reduce_sum(tf.cast(at_most[:, :-1] < 0.5, tf.int32), axis=-1)
        steps = tf.range(len(class_names), dtype=tf.float32)
        return {
            "probabilities": probabilities,
            "label": tf.gather(tf.constant(class_names), grade),
            "score": tf.gather(probabilities, grade, batch_dims=1),
            "grade": grade,
            "expected_grade": tf.linalg.matvec(probabilities, steps),
        }

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `grade_metrics`."""
        expected = probabilities @ np.arange(len(class_names))
        return grade_metrics(labels, _median(probabilities), expected, class_names)

    def result_measures(
        self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Returns `grade_metrics`."""
        return self.measures(probabilities, labels, class_names)

    def describe(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns kappa and errors in grades, and a table of the classes."""
        first, *table = classification_lines(measures)
        return [
            f"quadratic weighted kappa {measures['quadratic_weighted_kappa']:.4f}, mean error "
            f"{measures['mean_absolute_error']:.3f} grades ({measures['median_baseline_error']:.3f} of the median), {first}",
            *table,
        ]

    def rows(self, probabilities: np.ndarray, class_names: Sequence[str], *, top_k: int) -> list[dict[str, Any]]:
        """Returns for each image `label`, the median class, its `score`, `grade`, `expected_grade` and `top_k`."""
        rows = super().rows(probabilities, class_names, top_k=top_k)
        for row, grade, each in zip(rows, _median(probabilities).tolist(), probabilities, strict=True):
            expected = float(each @ np.arange(len(class_names)))
            row |= {
                "label": class_names[grade],
                "score": float(each[grade]),
                "grade": grade,
                "expected_grade": expected,
            }
        return rows


def _beyond(logits: np.ndarray) -> np.ndarray:
    """Returns the probability that an image goes beyond each grade but the last, float64 (n, classes - 1)."""
    return np.cumprod(expit(logits.astype(np.float64)), axis=1)


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """Returns the log odds that an image goes beyond each grade but the last, float64 (n, classes - 1)."""
    beyond = _beyond(logits)
    reached = np.concatenate([np.ones((len(beyond), 1)), beyond[:, :-1]], axis=1)
    not_beyond = np.cumsum(reached * expit(-logits.astype(np.float64)), axis=1)
    smallest = np.finfo(np.float64).tiny
    return np.log(np.maximum(beyond, smallest)) - np.log(np.maximum(not_beyond, smallest))


def _probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Returns the probability of each class, float64 (n, classes), from `_log_odds`."""
    ones = np.ones((len(log_odds), 1))
    return -np.diff(np.concatenate([ones, expit(log_odds), 0 * ones], axis=1), axis=1)


def _median(probabilities: np.ndarray) -> np.ndarray:
    return (np.cumsum(probabilities, axis=1)[:, :-1] < 0.5).sum(axis=1)


def _temperature(log_odds: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature that makes it likely which images go beyond which grade."""
    beyond = labels[:, None] > np.arange(log_odds.shape[1])
    return fit_temperature(np.stack([0 * log_odds, log_odds], axis=-1).reshape(-1, 2), beyond.ravel().astype(np.int64))


register_task(Ordinal())
