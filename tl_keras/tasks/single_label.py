"""Implements the task of one label per image: softmax, cross-entropy, accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config import DecisionConfig
from tl_keras.config.choices import LossName
from tl_keras.evaluation.calibration import Calibration, calibrate
from tl_keras.evaluation.metrics import accuracy_interval, hides_rare_classes
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.base import LossFn, Task, register_task
from tl_keras.tasks.decision import Decision, decision_lines
from tl_keras.tasks.loss_recipe import LossRecipe, focal, logit_adjusted

_TOP_K = 5

# Name under which images without an answer are counted.
REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class SingleLabel(Task):
    """One label per image.

    Example:
      ```python
      import tl_keras

      task = tl_keras.SingleLabel()
      assert task.outputs(("daisy", "rose", "tulip")) == 3
      ```

    Attributes:
      decision: Rule by which probabilities become an answer; None for the most probable class.
    """

    decision: Decision | None = None

    name: ClassVar[str] = "single_label"
    losses: ClassVar[tuple[LossName, ...]] = ("cross_entropy", "focal", "logit_adjustment")
    report_sections: ClassVar[tuple[str, ...]] = ("decision", "classes", "examples", "calibration")

    def with_decision(self, config: DecisionConfig, class_names: Sequence[str]) -> SingleLabel:
        """Returns the task with the decision that is asked for; itself if none is."""
        return dataclasses.replace(self, decision=Decision.of(config, class_names)) if config.given else self

    def with_predictions(self, logits: np.ndarray, labels: np.ndarray) -> SingleLabel:
        """Returns the task with the thresholds of its decision."""
        if self.decision is None:
            return self
        temperature = self.calibrate(logits, labels).temperature
        probabilities = self.probabilities(tf.constant(logits / np.float32(temperature))).numpy()
        return dataclasses.replace(
            self, decision=self.decision.chosen_by(probabilities, labels, temperature=temperature)
        )

    def facts(self) -> dict[str, Any]:
        """Returns the decision, if there is one."""
        return {} if self.decision is None else {"decision": self.decision.to_json()}

    def with_facts(self, facts: dict[str, Any]) -> SingleLabel:
        """Returns the task with what `facts` returned."""
        return dataclasses.replace(self, decision=Decision.from_json(facts["decision"]))

    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of classes."""
        return len(class_names)

    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns one-hot labels, float32 (..., outputs)."""
        return tf.one_hot(labels, outputs)

    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns inverse class frequencies, float32 (outputs,), scaled so that the mean over the images is 1.

        Args:
          labels: int64 (n,). A class without an image weighs as if it had one.
          outputs: Number of classes.
        """
        counts = np.maximum(np.bincount(labels, minlength=outputs), 1)
        return (len(labels) / (outputs * counts)).astype(np.float32)

    def loss(self, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
        """Returns cross-entropy, with label smoothing and class weights inside it.

        Args:
          label_smoothing: 0 to below 1 (Szegedy et al. 2016, section 7).
          class_weights: float32 (classes,), or None for equal weights. A soft label weighs as its mixture does, which
            Keras's own `class_weight` gets wrong: it takes the argmax.
        """

        def loss(targets: Any, logits: Any) -> Any:
            losses = keras.losses.categorical_crossentropy(
                targets, logits, from_logits=True, label_smoothing=label_smoothing
            )
            if class_weights is None:
                return losses
            return losses * keras.ops.sum(targets * class_weights, axis=-1)

        return loss

    def loss_of(self, recipe: LossRecipe) -> LossFn:
        """Returns cross-entropy, focal loss or logit-adjusted cross-entropy."""
        if recipe.name == "focal":
            return focal(recipe)
        plain = super().loss_of(recipe)
        return logit_adjusted(plain, recipe) if recipe.name == "logit_adjustment" else plain

    def imitation(self, taught: Any, logits: Any, *, temperature: float) -> Any:
        """Returns the divergence of softened answers, scaled so that its gradient is that of logits (Hinton et al. 2015, 2.1)."""
        answers, wanted = (keras.ops.log_softmax(each / temperature, axis=-1) for each in (logits, taught))
        return temperature**2 * keras.ops.sum(keras.ops.exp(wanted) * (wanted - answers), axis=-1)

    def metric(self) -> keras.metrics.Metric:
        """Returns the accuracy."""
        return keras.metrics.CategoricalAccuracy(name="accuracy")

    def selection(self, images: int, scores: Iterable[EpochScore]) -> EpochSelection:
        """Returns the rule of `tl_keras.evaluation.selection`."""
        return EpochSelection(images, scores)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Returns the accuracy, 0 to 1."""
        return float(np.mean(self.decide(logits) == labels))

    def interval(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Returns Wilson's score interval of the accuracy."""
        return accuracy_interval(self.score(logits, labels), len(labels))

    def baseline_score(self, train_labels: np.ndarray, labels: np.ndarray) -> float:
        """Returns the accuracy of always answering the most frequent class."""
        return float(np.mean(labels == np.bincount(train_labels).argmax()))

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns the most probable class of each image, int64 (n,)."""
        return logits.argmax(axis=-1)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> Calibration:
        """Returns the temperature of the softmax."""
        return calibrate(logits, labels)

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the softmax."""
        return tf.nn.softmax(logits)

    def answers(self, probabilities: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns `probabilities`, `label` and `score` of the answer, and `top_k_labels` and `top_k_scores` of five.

        With a decision, there is also `refused`, bool (batch,), whose labels are empty texts.
        """
        scores, best = tf.math.top_k(probabilities, k=min(_TOP_K, len(class_names)))
        names = tf.constant(class_names)
        labels = tf.gather(names, best)
        ranked = {"probabilities": probabilities, "top_k_labels": labels, "top_k_scores": scores}
        if self.decision is None:
            return {**ranked, "label": labels[:, 0], "score": scores[:, 0]}
        answers, answered_scores, refused = self.decision.apply(probabilities)
        label = tf.where(refused, tf.constant(""), tf.gather(names, answers))
        return {**ranked, "label": label, "score": answered_scores, "refused": refused}

    def answer_names(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes and, where answers may be refused, `refused`."""
        may_refuse = self.decision is not None and self.decision.refuse_below > 0
        return (*class_names, REFUSED) if may_refuse else tuple(class_names)

    def count_answers(self, logits: np.ndarray, classes: int) -> np.ndarray:
        """Returns how many images are answered with each of `answer_names`, int64."""
        if self.decision is None:
            return super().count_answers(logits, classes)
        probabilities = self.probabilities(tf.constant(logits / np.float32(self.decision.temperature)))
        answers, refused = self.decision.decide(probabilities.numpy())
        names = len(self.answer_names([""] * classes))
        return np.bincount(np.where(refused, classes, answers), minlength=names)

    def names_in(self, answer: Mapping[str, Any]) -> list[str]:
        """Returns the label, or `refused`."""
        return [REFUSED if answer.get("refused") else answer["label"]]

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `classification_metrics`, and under `decision` what the decision makes of the images."""
        metrics = super().measures(probabilities, labels, class_names)
        if self.decision is not None:
            metrics["decision"] = self.decision.measures(probabilities, labels, class_names)
        return metrics

    def result_measures(
        self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Returns the means over the classes where their sizes differ five-fold, and the measures of the decision; else None."""
        measures = self.measures(probabilities, labels, class_names)
        shown = ["decision"] + (["balanced_accuracy", "macro_f1"] if hides_rare_classes(measures) else [])
        chosen = {name: measures[name] for name in shown if name in measures}
        return {"examples": len(labels), **chosen} if chosen else None

    def describe(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns accuracy and a table of the classes, and what the decision does."""
        decided = decision_lines(measures["decision"]) if "decision" in measures else []
        return [*super().describe(measures), *decided]

    def remarks(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns the means over the classes where accuracy hides the rare ones, and what the decision does."""
        macro = (
            [f"mean over the classes: accuracy {measures['balanced_accuracy']:.4f}, F1 {measures['macro_f1']:.4f}"]
            if "balanced_accuracy" in measures
            else []
        )
        return [*macro, *(decision_lines(measures["decision"]) if "decision" in measures else [])]

    def rows(self, probabilities: np.ndarray, class_names: Sequence[str], *, top_k: int) -> list[dict[str, Any]]:
        """Returns the answer for each image: `label`, `score`, `top_k`, and with a decision `refused`, whose labels are empty."""
        rows = super().rows(probabilities, class_names, top_k=top_k)
        if self.decision is not None:
            answers, scores, refused = (each.numpy() for each in self.decision.apply(tf.constant(probabilities)))
            for row, answer, score, is_refused in zip(rows, answers, scores, refused, strict=True):
                label = "" if is_refused else class_names[answer]
                row.update(label=label, score=float(score), refused=bool(is_refused))
        return rows


SINGLE_LABEL = SingleLabel()
register_task(SINGLE_LABEL)
