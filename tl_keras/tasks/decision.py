"""Decides between classes by their probabilities: from a threshold on, at the least cost, or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import DecisionConfig
from tl_keras.config.costs import read_costs
from tl_keras.console import part_in_digits
from tl_keras.errors import ConfigError, nearest
from tl_keras.evaluation.decisions import (
    choose_threshold,
    cost_metrics,
    lowest_that_is_right,
    positive_metrics,
    refusal_metrics,
)


@dataclasses.dataclass(frozen=True)
class Decision:
    """The rule by which probabilities of classes become an answer, or none.

    Attributes:
      positive: Position of the class that is answered from `threshold` on; None for the most probable class or `costs`.
      min_precision: Precision that was asked for, 0 for none.
      min_recall: Recall that was asked for, 0 for none.
      threshold: Probability of the positive class from which on it is answered.
      costs: Costs of the answers by right class; empty where all confusions cost the same.
      min_accuracy: Accuracy of the answers that was asked for, 0 for none.
      refuse_below: Probability of the answer below which none is given, 0 for always.
      unreached: Whether the images by which it was chosen allow no threshold that gives what was asked for.
      temperature: Divisor of the logits before their softmax.
    """

    positive: int | None = None
    min_precision: float = 0.0
    min_recall: float = 0.0
    threshold: float = 0.5
    costs: tuple[tuple[float, ...], ...] = ()
    min_accuracy: float = 0.0
    refuse_below: float = 0.0
    unreached: bool = False
    temperature: float = 1.0

    @classmethod
    def of(cls, config: DecisionConfig, class_names: Sequence[str]) -> Decision:
        """Returns the decision that a config asks for, whose thresholds are not chosen yet.

        Raises:
          ConfigError: The positive class is unknown, or the costs cannot be read.
        """
        if config.positive and config.positive not in class_names:
            raise ConfigError(
                f"positive: expected one of the classes ({', '.join(class_names)}). Received: {config.positive}. "
                f"{nearest(config.positive, class_names)}".strip()
            )
        return cls(
            positive=list(class_names).index(config.positive) if config.positive else None,
            min_precision=config.min_precision,
            min_recall=config.min_recall,
            costs=read_costs(config.costs, class_names) if config.costs else (),
            min_accuracy=config.min_accuracy,
            refuse_below=config.refuse_below,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """Returns the decision that `to_json` returned."""
        return cls(**{**values, "costs": tuple(tuple(map(float, row)) for row in values["costs"])})

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**dataclasses.asdict(self), "costs": [list(row) for row in self.costs]}

    def chosen_by(self, probabilities: np.ndarray, labels: np.ndarray, *, temperature: float) -> Decision:
        """Returns the decision with thresholds that give what was asked for on images that were not trained on.

        Args:
          probabilities: Calibrated probabilities, float (n, classes), n at least 1.
          labels: int64 (n,).
          temperature: Divisor of the logits by which the probabilities were made.
        """
        chosen = dataclasses.replace(self, temperature=temperature)
        if self.positive is not None:
            has, scores = labels == self.positive, probabilities[:, self.positive]
            threshold, reached = choose_threshold(
                has, scores, min_precision=self.min_precision, min_recall=self.min_recall
            )
            chosen = dataclasses.replace(chosen, threshold=threshold, unreached=not reached)
        if self.min_accuracy:
            answers, _ = chosen.decide(probabilities)
            confidence = probabilities[np.arange(len(labels)), answers]
            lowest = lowest_that_is_right(answers == labels, confidence, part=self.min_accuracy)
            refuse_below = float(confidence.max()) if lowest is None else lowest
            chosen = dataclasses.replace(
                chosen, refuse_below=refuse_below, unreached=chosen.unreached or lowest is None
            )
        return chosen

    def apply(self, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the answered classes, int64 (n,), their probabilities, float32 (n,), and which are refused, bool (n,).

        Args:
          probabilities: float32 (n, classes).
        """
        answers = tf.argmax(probabilities, axis=-1)
        if self.costs:
            answers = tf.argmin(probabilities @ tf.constant(self.costs, probabilities.dtype), axis=-1)
        if self.positive is not None:
            positive = tf.one_hot(self.positive, tf.shape(probabilities)[-1], dtype=probabilities.dtype)
            others = tf.argmax(probabilities - 2 * positive, axis=-1)
            found = probabilities[:, self.positive] >= tf.constant(self.threshold, probabilities.dtype)
            answers = tf.where(found, tf.constant(self.positive, answers.dtype), others)
        scores = tf.gather(probabilities, answers, batch_dims=1)
        return answers, scores, scores < tf.constant(self.refuse_below, probabilities.dtype)

    def decide(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the answered classes, int64 (n,), and which of them are refused, bool (n,)."""
        answers, _, refused = self.apply(tf.constant(probabilities))
        return answers.numpy(), refused.numpy()

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns the measures of the answers as JSON values, with what was asked for.

        Args:
          probabilities: Calibrated probabilities, float32 (n, classes).
          labels: int64 (n,).
          class_names: Names of the classes.
        """
        answers, refused = self.decide(probabilities)
        confidence = probabilities[np.arange(len(labels)), answers]
        found: dict[str, Any] = {"examples": len(labels), "unreached": self.unreached}
        found["refusal"] = {
            "below": self.refuse_below,
            "asked": self.min_accuracy,
            **refusal_metrics(answers == labels, confidence, refused),
        }
        if self.positive is not None:
            has, scores = labels == self.positive, probabilities[:, self.positive]
            asked = {"min_precision": self.min_precision, "min_recall": self.min_recall}
            found["positive"] = {
                "class": class_names[self.positive],
                "threshold": self.threshold,
                **{name: value for name, value in asked.items() if value},
                **positive_metrics(has, answers == self.positive, scores),
            }
        if self.costs:
            found["costs"] = cost_metrics(labels, answers, probabilities.argmax(axis=-1), np.array(self.costs))
        return found


def decision_lines(measures: Mapping[str, Any]) -> list[str]:
    """Returns what `Decision.measures` returned as lines for people."""
    lines = []
    if positive := measures.get("positive"):
        asked = "".join(
            f", asked for {name[4:]} {positive[name]:g}" for name in ("min_precision", "min_recall") if name in positive
        )
        figures = "  ".join(
            f"{name} {positive[name]:.4f} ({positive[f'{name}_interval'][0]:.3f} to {positive[f'{name}_interval'][1]:.3f})"
            for name in ("precision", "recall")
            if positive[name] is not None
        )
        lines.append(
            f"{positive['class']} from {part_in_digits(positive['threshold'])} on: {figures or 'none found'}{asked}"
        )
    if costs := measures.get("costs"):
        lines.append(
            f"mean cost {costs['mean_cost']:.4f}; of the most probable class {costs['mean_cost_of_the_likeliest']:.4f}, of one "
            f"answer for all {costs['mean_cost_of_one_answer']:.4f}"
        )
    refusal = measures["refusal"]
    if refusal["below"]:
        accuracy = "-" if refusal["accuracy"] is None else f"{refusal['accuracy']:.4f}"
        asked = f", asked for {refusal['asked']:g}" if refusal["asked"] else ""
        lines.append(
            f"refused below {part_in_digits(refusal['below'])}: {refusal['coverage']:.1%} of the images are answered, accuracy of "
            f"these {accuracy}{asked}"
        )
    if measures["unreached"]:
        lines.append(
            "no threshold promises what was asked for on so few validation images; the nearest one is taken: give more images, or "
            "ask for less"
        )
    return lines
