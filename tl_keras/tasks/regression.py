"""Implements the task of numbers: Huber's loss on standardised numbers, R², intervals by conformal prediction."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config.choices import LabelKind, LossName
from tl_keras.console import in_digits, printable
from tl_keras.evaluation.calibration import Calibration
from tl_keras.evaluation.highest_score import HighestScore, error_of_r2
from tl_keras.evaluation.numbers import (
    COVERAGE,
    half_widths,
    number_metrics,
    promised_by,
    promised_part,
    r_squared,
    shares_that_held,
)
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.base import LossFn, Task, register_task
from tl_keras.tasks.loss_recipe import LossRecipe

# Edges of the tenths of the predictions, by which a change of the answers is noticed.
_TENTHS = np.arange(1, 10) / 10


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """One number per image, or several.

    The network's outputs are standardised by the training images; everything that is served or measured has the unit of the labels.

    Example:
      ```python
      import tl_keras

      task = tl_keras.Regression()
      assert task.outputs(("age",)) == 1
      ```

    Attributes:
      means: Mean of each column over the training images; empty before `with_labels`.
      deviations: Standard deviation of each column over the training images.
      medians: Median of each column over the training images.
      shares: Part, 0 to 1, of a prediction's distance from the median that is answered, for each column; empty before
        `with_predictions`.
      half_widths: Half width of the 90% interval of each column; empty before `with_predictions`.
      promised: Part of further images whose number the interval of each column is to hold: 0.9, or less of fewer than nine
        validation images; empty before `with_predictions`.
      edges: Nine numbers that part the validation predictions of the first column into tenths.
    """

    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    medians: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    half_widths: tuple[float, ...] = ()
    promised: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()

    name: ClassVar[str] = "regression"
    label_kind: ClassVar[LabelKind] = "numbers"
    score_name: ClassVar[str] = "r2"
    output_name: ClassVar[str] = "values"
    losses: ClassVar[tuple[LossName, ...]] = ("huber", "squared")
    report_sections: ClassVar[tuple[str, ...]] = ("numbers",)
    # Random weights give each image an error of its own, of which few images take back little: R² began at -0.9.
    starts_from_zero: ClassVar[bool] = True

    def with_labels(self, labels: np.ndarray) -> Regression:
        """Returns the task with mean, deviation and median of each column."""
        deviations = labels.std(axis=0)
        found = (labels.mean(axis=0), np.where(deviations > 0, deviations, 1.0), np.median(labels, axis=0))
        means, deviations, medians = (tuple(values.tolist()) for values in found)
        return dataclasses.replace(self, means=means, deviations=deviations, medians=medians)

    def with_predictions(self, logits: np.ndarray, labels: np.ndarray) -> Regression:
        """Returns the task with the shares of its predictions that held, half widths of intervals, and tenths of predictions."""
        shares = shares_that_held(labels, self._in_units(logits), np.array(self.medians))
        task = dataclasses.replace(self, shares=tuple(shares.tolist()))
        predicted = task._in_units(logits)
        edges = tuple(np.quantile(predicted[:, 0], _TENTHS).tolist())
        widths, promised = tuple(half_widths(labels, predicted).tolist()), promised_part(len(labels))
        return dataclasses.replace(task, half_widths=widths, promised=(promised,) * len(widths), edges=edges)

    def converted(self, logits: np.ndarray, trained: Task) -> np.ndarray:
        """Returns logits of the same numbers, by this task's means and deviations."""
        assert isinstance(trained, Regression)
        return ((trained._in_units(logits) - np.array(self.means)) / np.array(self.deviations)).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """Returns the fields."""
        return {field.name: list(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def with_facts(self, facts: dict[str, Any]) -> Regression:
        """Returns the task with what `facts` returned."""
        names = [field.name for field in dataclasses.fields(self)]  # earlier versions had fewer
        return Regression(**{name: tuple(map(float, facts.get(name, ()))) for name in names})

    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of columns."""
        return len(class_names)

    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns the standardised numbers, float32 (..., outputs)."""
        means, deviations = (tf.constant(values, labels.dtype) for values in (self.means, self.deviations))
        return tf.cast((labels - means) / deviations, tf.float32)

    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns ones, float32 (outputs,), because numbers have no classes; configs that ask for more are refused."""
        return np.ones(outputs, np.float32)

    def loss(self, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
        """Returns Huber's loss (1964) on standardised numbers: squared up to one standard deviation, then linear.

        Args:
          label_smoothing: Not used, since numbers have no classes.
          class_weights: Not used.
        """
        return keras.losses.huber

    def loss_of(self, recipe: LossRecipe) -> LossFn:
        """Returns Huber's loss or half the mean square, which are equal for errors below a standard deviation."""
        if recipe.name == "squared":
            return lambda targets, logits: keras.losses.mean_squared_error(targets, logits) / 2
        return super().loss_of(recipe)

    def metric(self) -> keras.metrics.Metric:
        """Returns R², averaged over the columns."""
        return keras.metrics.R2Score(name=self.score_name)

    def selection(self, images: int, scores: Iterable[EpochScore]) -> EpochSelection:
        """Returns the rule of `tl_keras.evaluation.highest_score`."""
        return HighestScore(images, scores, standard_error=error_of_r2)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Returns R², averaged over the columns."""
        return r_squared(labels, self._in_units(logits))

    def evidence(self, logits: Any, answers: Any) -> Any:
        """Returns the first number, whose gradient shows where the student sees a reason for more."""
        return logits[:, 0]

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns which tenth of the validation predictions the first number lies in, int64 (n,), 0 to 9."""
        return np.searchsorted(self.edges, self._in_units(logits)[:, 0], side="right").astype(np.int64)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> Calibration:
        """Returns no correction: numbers have no probabilities, and their intervals are in `facts`."""
        return Calibration(temperature=1.0, error=None, negative_log_likelihood=None, images=len(labels))

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the numbers in their unit, float32 (batch, columns)."""
        means, deviations = (tf.constant(values, logits.dtype) for values in (self.means, self.deviations))
        values = logits * deviations + means
        if not self.shares:
            return values
        medians, shares = (tf.constant(values, logits.dtype) for values in (self.medians, self.shares))
        return medians + shares * (values - medians)

    def logits_of(self, answers: np.ndarray) -> np.ndarray:
        """Returns the standardised numbers."""
        return ((answers - np.array(self.means)) / np.array(self.deviations)).astype(np.float32)

    def answers(self, probabilities: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns `values`, and both ends `low` and `high` of their 90% interval, each float32 (batch, columns)."""
        widths = tf.constant(self.half_widths, tf.float32)
        return {"values": probabilities, "low": probabilities - widths, "high": probabilities + widths}

    @property
    def tenths(self) -> tuple[str, ...]:
        """Returns a name for each tenth of the validation predictions of the first number, such as "3.2 to 4.1".

        Only tenths that are empty, between equal edges, may have the same.
        """
        distinct, edges = len(set(self.edges)), [f"{edge:.4g}" for edge in self.edges]
        for digits in range(5, 18):  # 17 tell any two numbers apart
            if len(set(edges)) >= distinct:
                break
            edges = [f"{edge:.{digits}g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return (f"below {edges[0]}", *between, f"from {edges[-1]}")

    def answer_names(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Returns `tenths`."""
        return self.tenths

    def count_answers(self, logits: np.ndarray, classes: int) -> np.ndarray:
        """Returns how many images lie in each tenth, int64 (10,)."""
        return np.bincount(self.decide(logits), minlength=len(self.edges) + 1)

    def names_in(self, answer: Mapping[str, Any]) -> list[str]:
        """Returns the name of the tenth in which the first number lies."""
        return [self.tenths[int(np.searchsorted(self.edges, answer["values"][0], side="right"))]]

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `number_metrics`."""
        widths, medians = np.array(self.half_widths), np.array(self.medians)
        measures = number_metrics(labels, probabilities, widths=widths, medians=medians, names=class_names)
        for name, values in (("share", self.shares), ("promised", self.promised)):
            for row, value in zip(measures["columns"], values, strict=False):  # models of earlier versions have none
                row[name] = value
        return measures

    def result_measures(
        self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Returns `number_metrics`."""
        return self.measures(probabilities, labels, class_names)

    def describe(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns R², and a table of the columns."""
        width = max(len("column"), *(len(printable(row["column"])) for row in measures["columns"]))
        heads = (
            "mean error",
            "of the median",
            "root mean square",
            "R²",
            "Spearman",
            f"{promised_by(measures):.0%} within",
            "coverage",
        )
        told = any(row["r2"] is not None for row in measures["columns"])
        first = f"R² {measures['r2']:.4f}" if told else "R² cannot be told"
        lines = [first, f"{'column':<{width}}" + "".join(f"{head:>18}" for head in heads)]
        for row in measures["columns"]:
            cells = [
                "-" if row[key] is None else in_digits(row[key], 4)
                for key in ("mean_absolute_error", "median_baseline_error", "root_mean_squared_error", "r2", "spearman")
            ]
            cells += [
                f"± {in_digits(row['half_width'], 4)}",
                "-" if row["coverage"] is None else f"{row['coverage']:.3f}",
            ]
            lines.append(f"{printable(row['column']):<{width}}" + "".join(f"{cell:>18}" for cell in cells))
        return [*lines, *self.remarks(measures)]

    def remarks(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns a sentence for each column whose predictions did not hold on validation, and one if intervals promise less."""
        promised = promised_by(measures)
        few = (
            f"the validation images are too few for intervals that hold {COVERAGE:.0%} of the numbers: these are their largest "
            f"errors, and promise {promised:.0%}"
        )
        at_the_median = [
            f"{printable(row['column'])}: predictions of the validation images were no better than the median, which is answered "
            "for every image"
            for row in measures["columns"]
            if row.get("share") == 0
        ]
        return [*at_the_median, few] if promised < COVERAGE else at_the_median

    def rows(self, probabilities: np.ndarray, class_names: Sequence[str], *, top_k: int) -> list[dict[str, Any]]:
        """Returns for each image `values`, a list with the `column`, `value`, `low` and `high` of each number."""
        return [
            {
                "values": [
                    {"column": name, "value": float(value), "low": float(value - width), "high": float(value + width)}
                    for name, value, width in zip(class_names, row, self.half_widths, strict=True)
                ]
            }
            for row in probabilities
        ]

    def _in_units(self, logits: np.ndarray) -> np.ndarray:
        values, medians = logits.astype(np.float64) * np.array(self.deviations) + np.array(self.means), self.medians
        return np.array(medians) + np.array(self.shares) * (values - np.array(medians)) if self.shares else values


register_task(Regression())
