"""Measures an epoch while it runs, by sums over its batches: mean average precision of labels, weighted kappa of grades."""

from __future__ import annotations

from typing import Any

import keras

# Logits beyond this distance from 0 count as if they had it, and the steps between are as fine as 32 to a unit.
_REACH, _STEPS = 12.0, 768


class MeanAveragePrecision(keras.metrics.Metric):
    """Mean of the average precisions of the labels that occur and lack somewhere, from histograms of their logits, 0 to 1.

    Unlike Keras's `AUC`, it takes labels that are not known, whose target is not a number, and its histogram is as fine for
    rare labels as for frequent ones.

    Args:
      labels: Number of labels.
      name: Name of the metric.
    """

    def __init__(self, labels: int, name: str = "accuracy"):
        super().__init__(name=name)
        self._labels = labels
        self._positive, self._negative = (
            self.add_variable((labels, _STEPS), initializer="zeros", name=name) for name in ("positive", "negative")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: targets and logits, float32 (batch, labels), and weights of the images, float32 (batch,)."""
        ops = keras.ops
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        unknown = ops.isnan(y_true)
        target = ops.where(unknown, ops.zeros_like(y_true), y_true)
        weight = ops.cast(ops.logical_not(unknown), "float32")
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        place = ops.clip((y_pred + _REACH) * (_STEPS / (2 * _REACH)), 0, _STEPS - 1)
        row = ops.cast(place, "int32") + _STEPS * ops.arange(self._labels, dtype="int32")
        for sums, values in ((self._positive, target), (self._negative, 1 - target)):
            added = ops.segment_sum(ops.reshape(values * weight, (-1,)), ops.reshape(row, (-1,)), self._labels * _STEPS)
            sums.assign_add(ops.reshape(added, (self._labels, _STEPS)))

    def result(self) -> Any:
        """Returns the mean over the labels that some images had and others lacked; 0 if there was none."""
        ops = keras.ops
        positive, negative = ops.flip(self._positive, axis=1), ops.flip(self._negative, axis=1)
        right, wrong = ops.cumsum(positive, axis=1), ops.cumsum(negative, axis=1)
        precision = right / ops.maximum(right + wrong, 1e-9)
        total = right[:, -1]
        each = ops.sum(precision * positive, axis=1) / ops.maximum(total, 1e-9)
        occurs = ops.cast(ops.logical_and(total > 0, wrong[:, -1] > 0), "float32")
        return ops.sum(each * occurs) / ops.maximum(ops.sum(occurs), 1.0)


class QuadraticWeightedKappa(keras.metrics.Metric):
    """Agreement of grades beyond chance, in which a mistake counts by the square of its grades, -1 to 1 (Cohen 1968).

    Args:
      classes: Number of grades.
      name: Name of the metric.
    """

    def __init__(self, classes: int, name: str = "accuracy"):
        super().__init__(name=name)
        self._classes = classes
        self._counts = self.add_variable((classes, classes), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: parts of the grades above each, and logits, float32 (batch, classes - 1), and weights, float32 (batch,)."""
        ops = keras.ops
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        above = ops.exp(ops.cumsum(ops.log_sigmoid(y_pred), axis=-1))
        right, answer = (ops.sum(ops.cast(part > 0.5, "int32"), axis=-1) for part in (y_true, above))
        rows = ops.one_hot(right, self._classes)
        if sample_weight is not None:
            rows = rows * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        self._counts.assign_add(ops.matmul(ops.transpose(rows), ops.one_hot(answer, self._classes)))

    def result(self) -> Any:
        """Returns the kappa so far; 0 if all labels and answers are equal."""
        ops = keras.ops
        counts, grades = ops.convert_to_tensor(self._counts), ops.arange(self._classes, dtype="float32")
        squares = (ops.expand_dims(grades, 1) - ops.expand_dims(grades, 0)) ** 2
        total = ops.maximum(ops.sum(counts), 1.0)
        by_chance = ops.expand_dims(ops.sum(counts, axis=1), 1) * ops.expand_dims(ops.sum(counts, axis=0), 0) / total
        expected = ops.sum(squares * by_chance)
        kappa = 1 - ops.sum(squares * counts) / ops.maximum(expected, 1e-9)
        return ops.where(expected > 0, kappa, ops.zeros_like(kappa))
