"""Implements the task of several labels per image, none included: sigmoid, binary cross-entropy, mean average precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config.choices import LabelKind, LossName
from tl_keras.console import part_in_digits, printable
from tl_keras.data.labelling import shown
from tl_keras.evaluation.average_precision import (
    UNKNOWN,
    calibration_error,
    choose_thresholds,
    mean_average_precision,
    mean_average_precision_interval,
    several_labels_metrics,
)
from tl_keras.evaluation.calibration import Calibration, fit_temperature, folds_of, mean_log_loss
from tl_keras.evaluation.highest_score import HighestScore, error_of_part
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.base import LossFn, Task, register_task
from tl_keras.tasks.epoch_metrics import MeanAveragePrecision
from tl_keras.tasks.loss_recipe import (
    LabelLoss,
    LossRecipe,
    label_asymmetric,
    label_cross_entropy,
    label_focal,
    over_known_labels,
)

# Largest weight of an image that has a rare label, beyond which a few images would be all that is learnt.
_LARGEST_WEIGHT = 10.0

_LOSSES_OF_LABELS: dict[str, LabelLoss] = {"focal": label_focal, "asymmetric": label_asymmetric}


@dataclasses.dataclass(frozen=True)
class MultiLabel(Task):
    """Several labels per image, or none.

    Example:
      ```python
      import tl_keras

      task = tl_keras.MultiLabel()
      assert task.outputs(("cat", "dog", "tree")) == 3
      ```

    Attributes:
      count: Number of labels; 0 before `with_labels`.
      temperatures: Divisor of the logit of each label; empty before `with_predictions`.
      thresholds: Probability of each label from which on an image is said to have it; empty before `with_predictions`.
    """

    count: int = 0
    temperatures: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    name: ClassVar[str] = "multi_label"
    label_kind: ClassVar[LabelKind] = "labels"
    score_name: ClassVar[str] = "mean_average_precision"
    losses: ClassVar[tuple[LossName, ...]] = ("cross_entropy", "focal", "asymmetric")
    report_sections: ClassVar[tuple[str, ...]] = ("labels",)

    def with_labels(self, labels: np.ndarray) -> MultiLabel:
        """Returns the task with the number of labels."""
        return dataclasses.replace(self, count=labels.shape[1])

    def with_predictions(self, logits: np.ndarray, labels: np.ndarray) -> MultiLabel:
        """Returns the task with a temperature and a threshold for each label."""
        temperatures = tuple(_temperatures(logits, labels))
        thresholds = choose_thresholds(labels, _sigmoid(logits / np.array(temperatures)))
        return dataclasses.replace(self, temperatures=temperatures, thresholds=tuple(thresholds.tolist()))

    def converted(self, logits: np.ndarray, trained: Task) -> np.ndarray:
        """Returns logits that another task's temperatures have calibrated."""
        assert isinstance(trained, MultiLabel)
        return (logits / np.array(trained.temperatures or (1.0,))).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """Returns count, temperatures and thresholds."""
        return {"count": self.count, "temperatures": list(self.temperatures), "thresholds": list(self.thresholds)}

    def with_facts(self, facts: dict[str, Any]) -> MultiLabel:
        """Returns the task with what `facts` returned."""
        return MultiLabel(
            count=int(facts["count"]),
            temperatures=tuple(map(float, facts["temperatures"])),
            thresholds=tuple(map(float, facts["thresholds"])),
        )

    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of labels."""
        return len(class_names)

    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns 1, 0, or not a number where it is not known, float32 (..., outputs); mixed with anything it stays unknown."""
        values = tf.cast(labels, tf.float32)
        return tf.where(labels == UNKNOWN, tf.fill(tf.shape(values), float("nan")), values)

    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns how many images lack a label for one that has it, float32 (outputs,), at most 10.

        Args:
          labels: int64 (n, outputs), 1, 0 or -1.
          outputs: Number of labels.
        """
        has, lacks = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
        return np.clip(lacks / np.maximum(has, 1), 1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.float32)

    def loss(self, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
        """Returns binary cross-entropy, averaged over the labels that are known of an image.

        Args:
          label_smoothing: 0 to below 1; targets become this part nearer to one half.
          class_weights: Weights of having a label, against lacking it, float32 (labels,); None for equal ones.
        """
        return over_known_labels(label_cross_entropy, label_smoothing=label_smoothing, class_weights=class_weights)

    def loss_of(self, recipe: LossRecipe) -> LossFn:
        """Returns binary cross-entropy, focal loss or asymmetric loss, averaged over the labels that are known of an image."""
        if recipe.name not in _LOSSES_OF_LABELS:
            return super().loss_of(recipe)
        return over_known_labels(
            _LOSSES_OF_LABELS[recipe.name], label_smoothing=recipe.label_smoothing, class_weights=recipe.weights
        )

    def sampling_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns how often each training image is to be drawn, float64 (n,), with mean 1: by the rarest label that it has.

        It is the inverse frequency of that label, or of having none, at most ten times that of the most frequent.
        """
        has = np.concatenate([labels == 1, ~(labels == 1).any(axis=1, keepdims=True)], axis=1)
        frequencies = has.mean(axis=0)
        rarest = np.where(has, frequencies, 1.0).min(axis=1)
        weights = 1 / np.maximum(rarest, rarest.max() / _LARGEST_WEIGHT)
        return weights / weights.mean()

    def metric(self) -> keras.metrics.Metric:
        """Returns the mean average precision."""
        return MeanAveragePrecision(self.count, name=self.score_name)

    def selection(self, images: int, scores: Iterable[EpochScore]) -> EpochSelection:
        """Returns the rule of `tl_keras.evaluation.highest_score`."""
        return HighestScore(images, scores, standard_error=error_of_part)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Returns the mean average precision, 0 to 1."""
        return mean_average_precision(labels, logits)

    def interval(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Returns the 95% interval of the mean average precision, by the bootstrap over images."""
        return mean_average_precision_interval(labels, logits)

    def baseline_score(self, train_labels: np.ndarray, labels: np.ndarray) -> float | None:
        """Returns the mean average precision of equal answers for all images: the mean part of the images that have a label."""
        known, has = labels != UNKNOWN, labels == 1
        ranked = has.any(axis=0) & (labels == 0).any(axis=0)
        return float((has.sum(axis=0) / known.sum(axis=0).clip(1))[ranked].mean()) if ranked.any() else None

    def evidence(self, logits: Any, answers: Any) -> Any:
        """Returns the sum of the logits of the labels that are found."""
        return keras.ops.sum(logits * keras.ops.cast(answers, logits.dtype), axis=-1)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns whether each image has each label, bool (n, labels)."""
        temperatures, thresholds = self.temperatures or (1.0,), self.thresholds or (0.5,)
        return _sigmoid(logits / np.array(temperatures)) >= np.array(thresholds)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> Calibration:
        """Returns the errors before and after a temperature for each label, fitted out of fold.

        The temperature of the result is 1: `probabilities` applies those of the labels.
        """
        before, after = _sigmoid(logits.astype(np.float64)), np.empty(logits.shape)
        for asked in folds_of(len(labels)):
            after[asked] = _sigmoid(logits[asked] / np.array(_temperatures(logits[~asked], labels[~asked])))
        known = labels != UNKNOWN
        answers = labels[known]
        return Calibration(
            temperature=1.0,
            error=(calibration_error(labels, before), calibration_error(labels, after)),
            negative_log_likelihood=tuple(  # type: ignore[arg-type]  # of two
                mean_log_loss(np.stack([1 - scores[known], scores[known]], axis=1), answers) if known.any() else 0.0
                for scores in (before, after)
            ),
            images=len(labels),
        )

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the calibrated probability of each label."""
        temperatures = tf.constant(self.temperatures or (1.0,), logits.dtype)
        return tf.sigmoid(logits / temperatures)

    def logits_of(self, answers: np.ndarray) -> np.ndarray:
        """Returns the log odds of each label."""
        return (super().logits_of(answers) - super().logits_of(1 - answers)).astype(np.float32)

    def answers(self, probabilities: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns `probabilities` and `thresholds`, and the `labels` that are found with their `scores`, the likeliest first.

        All are (batch, labels); `labels` and `scores` end with empty texts and zeros.
        """
        thresholds = tf.broadcast_to(tf.constant(self.thresholds, tf.float32), tf.shape(probabilities))
        found = probabilities >= thresholds
        scores, order = tf.math.top_k(tf.where(found, probabilities, tf.zeros_like(probabilities)), k=len(class_names))
        names = tf.gather(tf.constant(class_names), order)
        labels = tf.where(tf.gather(found, order, batch_dims=1), names, tf.fill(tf.shape(names), ""))
        return {"probabilities": probabilities, "thresholds": thresholds, "labels": labels, "scores": scores}

    def count_answers(self, logits: np.ndarray, classes: int) -> np.ndarray:
        """Returns for how many images each label is found, int64 (labels,)."""
        return self.decide(logits).sum(axis=0)

    def names_in(self, answer: Mapping[str, Any]) -> list[str]:
        """Returns the labels that were found."""
        return [label for label in answer["labels"] if label]

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `several_labels_metrics`."""
        thresholds = np.array(self.thresholds or (0.5,) * len(class_names))
        return several_labels_metrics(labels, probabilities, thresholds, class_names)

    def result_measures(
        self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Returns `several_labels_metrics`."""
        return self.measures(probabilities, labels, class_names)

    def remarks(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns a sentence on labels that the mean average precision leaves out."""
        left_out = [printable(row["label"]) for row in measures["labels"] if row["average_precision"] is None]
        if not left_out:
            return []
        return [
            f"the mean average precision is that of {len(measures['labels']) - len(left_out)} of {len(measures['labels'])} labels: "
            f"all measured images have, or all lack, {shown(left_out)}"
        ]

    def describe(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns the mean average precision, and a table of the labels."""
        low, high = measures["mean_average_precision_interval"] or (0.0, 1.0)
        width = max(len("label"), *(len(printable(row["label"])) for row in measures["labels"]))
        lines = [
            f"mean average precision {measures['mean_average_precision']:.4f} ({low:.3f} to {high:.3f}), "
            f"F1 {measures['f1']:.4f}, all labels right {measures['exact']:.4f}",
            f"{'label':<{width}} {'average precision':>18} {'precision':>10} {'recall':>8} {'F1':>8} {'threshold':>10} "
            f"{'images':>8}",
        ]
        for row in measures["labels"]:
            average, precision, recall, f1 = (
                "-" if row[name] is None else f"{row[name]:.4f}"
                for name in ("average_precision", "precision", "recall", "f1")
            )
            lines.append(
                f"{printable(row['label']):<{width}} {average:>18} {precision:>10} {recall:>8} {f1:>8} "
                f"{part_in_digits(row['threshold']):>10} {row['examples']:>8}"
            )
        return lines

    def rows(self, probabilities: np.ndarray, class_names: Sequence[str], *, top_k: int) -> list[dict[str, Any]]:
        """Returns for each image `labels`, those found with their `score`, likeliest first, and `scores` of all by name."""
        rows = []
        for row in probabilities:
            order = np.argsort(-row, kind="stable")
            found = [{"label": class_names[i], "score": float(row[i])} for i in order if row[i] >= self.thresholds[i]]
            rows.append({"labels": found, "scores": {name: float(p) for name, p in zip(class_names, row, strict=True)}})
        return rows


def _temperatures(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns a temperature for each label, by the images of which it is known."""
    fitted = []
    for logit, label in zip(logits.T, labels.T, strict=True):
        known = label != UNKNOWN
        fitted.append(fit_temperature(np.stack([np.zeros(known.sum()), logit[known]], axis=1), label[known]))
    return fitted


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


register_task(MultiLabel())
