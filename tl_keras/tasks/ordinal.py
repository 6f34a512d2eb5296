"""Implements the task of one class per image where the classes have an order: grades, stages, sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

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
    """

    classes: int = 0

    name: ClassVar[str] = "ordinal"
    label_kind: ClassVar[LabelKind] = "order"
    score_name: ClassVar[str] = "quadratic_weighted_kappa"
    report_sections: ClassVar[tuple[str, ...]] = ("grades", "classes", "examples")

    def with_labels(self, labels: np.ndarray) -> Ordinal:
        """Returns the task with the number of classes."""
        return dataclasses.replace(self, classes=int(labels.max()) + 1)

    def facts(self) -> dict[str, Any]:
        """Returns the number of classes."""
        return {"classes": self.classes}

    def with_facts(self, facts: dict[str, Any]) -> Ordinal:
        """Returns the task with what `facts` returned."""
        return Ordinal(int(facts["classes"]))

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
        """Returns the temperature of the steps, with what it does for images that it was not fitted to."""
        before, after = _probabilities(_beyond(logits)), np.empty((len(logits), logits.shape[1] + 1))
        for asked in folds_of(len(labels)):
            temperature = _temperature(logits[~asked], labels[~asked])
            after[asked] = _probabilities(_beyond(logits[asked] / temperature))
        return Calibration(
            temperature=_temperature(logits, labels),
            error=(expected_calibration_error(before, labels), expected_calibration_error(after, labels)),
            negative_log_likelihood=(mean_log_loss(before, labels), mean_log_loss(after, labels)),
            images=len(labels),
        )

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the probability of each class, float32 (batch, classes)."""
        beyond = tf.exp(tf.cumsum(tf.math.log_sigmoid(logits), axis=-1))
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
    return np.cumprod(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60))), axis=1)


def _probabilities(beyond: np.ndarray) -> np.ndarray:
    ones = np.ones((len(beyond), 1))
    return -np.diff(np.concatenate([ones, beyond, 0 * ones], axis=1), axis=1)


def _median(probabilities: np.ndarray) -> np.ndarray:
    return (np.cumsum(probabilities, axis=1)[:, :-1] < 0.5).sum(axis=1)


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature of all steps that the images have reached."""
    steps = np.arange(logits.shape[1])
    reached = labels[:, None] >= steps
    goes_on = (labels[:, None] > steps)[reached]
    chosen = logits[reached]
    return fit_temperature(np.stack([np.zeros_like(chosen), chosen], axis=1), goes_on.astype(np.int64))


register_task(Ordinal())
