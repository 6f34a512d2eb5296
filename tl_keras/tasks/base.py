"""Defines a task, and finds one by its name."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config import DecisionConfig
from tl_keras.config.choices import LabelKind, LossName, add_task_name, require_task_name
from tl_keras.evaluation.bootstrap import bootstrap_interval
from tl_keras.evaluation.calibration import Calibration
from tl_keras.evaluation.metrics import classification_lines, classification_metrics
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.loss_recipe import LossRecipe

# From targets and logits, each float32 (batch, outputs), to losses, float32 (batch,).
LossFn = Callable[[Any, Any], Any]

# Smallest probability that has a logarithm.
_SMALLEST = 1e-12


class Task(abc.ABC):
    """Everything that depends on what a label is: targets, loss, score, calibration, answers and report.

    Subclass it for a task of your own, and call `register_task` before the first run.

    Attributes:
      name: Name of the task, as in `--task` and in `config.json`.
      label_kind: Kind of labels that it learns: `class`, `labels` (several) or `numbers`; sources are read accordingly.
      score_name: Name of the score, in lower case with underscores: the keys of `result.json` end with it, and people read it in
        words.
      output_name: Name of the output of exported models that `probabilities` makes.
      report_sections: Names of the parts of the report that make sense for the task, in their order, of those in
        `tl_keras.reporting.sections`.
      losses: Names of the losses that `loss_of` knows, as in `--config.training.loss`, the task's own first; empty for one without.
      starts_from_zero: Whether the last layer's weights start as zeros, so that the first answer is the same for all images.

    Example:
      ```python
      import tl_keras


      class Confident(tl_keras.SingleLabel):
          \"\"\"One label per image, without label smoothing.\"\"\"

          name = "confident"

          def loss(self, *, label_smoothing, class_weights):
              return super().loss(label_smoothing=0.0, class_weights=class_weights)


      tl_keras.register_task(Confident())
      config = tl_keras.TransferConfig(task="confident")
      ```
    """

    name: ClassVar[str]
    label_kind: ClassVar[LabelKind] = "class"
    score_name: ClassVar[str] = "accuracy"
    output_name: ClassVar[str] = "probabilities"
    report_sections: ClassVar[tuple[str, ...]] = ()
    losses: ClassVar[tuple[LossName, ...]] = ()
    starts_from_zero: ClassVar[bool] = False

    def with_labels(self, labels: np.ndarray) -> Task:
        """Returns the task with what it must know of the training images, equal for equal facts; as a rule itself.

        Args:
          labels: Labels of the training images, as the source has them.
        """
        return self

    def with_predictions(self, logits: np.ndarray, labels: np.ndarray) -> Task:
        """Returns the task with what it decides by predictions of validation images, such as thresholds; as a rule itself.

        Args:
          logits: Logits of validation images, float32 (n, outputs), n at least 1.
          labels: Labels of the images, as the source has them.
        """
        return self

    def converted(self, logits: np.ndarray, trained: Task) -> np.ndarray:
        """Returns logits with which this task gives the answers that another gives with its own, float32 (n, outputs).

        Override it if what `with_labels` finds changes what a logit means, as a mean and a deviation do: the models of folds are
        trained on different images.

        Args:
          logits: Logits of a model, float32 (n, outputs).
          trained: Task of that model, of the same class as this one.
        """
        return logits

    def with_decision(self, config: DecisionConfig, class_names: Sequence[str]) -> Task:
        """Returns the task with the decision between classes that a config asks for; as a rule itself.

        Args:
          config: Options of the decision.
          class_names: Names of the classes.
        """
        return self

    def facts(self) -> dict[str, Any]:
        """Returns as JSON values what `with_labels` and `with_predictions` found, which models are stored with."""
        return {}

    def with_facts(self, facts: dict[str, Any]) -> Task:
        """Returns the task with what `facts` returned when the model was stored."""
        return self

    @abc.abstractmethod
    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of logits.

        Args:
          class_names: Names of the classes of the source.
        """

    @abc.abstractmethod
    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns what the loss compares logits with, float32 (..., outputs).

        Args:
          labels: Labels as the source has them: int64 (...), or int64 or float64 (..., outputs).
          outputs: Number of logits.
        """

    @abc.abstractmethod
    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns the weights with which rare classes count as much as frequent ones, float32 (outputs,).

        Args:
          labels: Labels of the training images, int64 (n,).
          outputs: Number of logits.
        """

    @abc.abstractmethod
    def loss(self, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
        """Returns a function from (targets, logits), each float32 (batch, outputs), to losses, float32 (batch,).

        Args:
          label_smoothing: Amount of label smoothing, 0 to below 1.
          class_weights: Weights of the classes, float32 (outputs,), or None.
        """

    def loss_of(self, recipe: LossRecipe) -> LossFn:
        """Returns the loss that a recipe asks for; as a rule `loss`. Override it if `losses` has several.

        Args:
          recipe: Recipe with one of the names in `losses`, or none.
        """
        return self.loss(label_smoothing=recipe.label_smoothing, class_weights=recipe.weights)

    def sampling_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns how often each training image is to be drawn for classes to come equally often, float64 (n,), with mean 1.

        Args:
          labels: Labels of the training images, as the source has them.
          outputs: Number of logits.
        """
        weights = self.class_weights(labels, outputs).astype(np.float64)[labels]
        return weights / weights.mean()

    def imitation(self, taught: Any, logits: Any, *, temperature: float) -> Any:
        """Returns how far logits are from those of a teacher, float32 (batch,), which distillation makes small.

        As a rule it is half the mean square of their difference (Ba and Caruana 2014, "Do deep nets really need to be deep?").

        Args:
          taught: Logits of the teacher, calibrated, float32 (batch, outputs).
          logits: Logits of the student, float32 (batch, outputs).
          temperature: Temperature that softens the answers of both, above 0, where they are distributions.
        """
        return keras.ops.mean(keras.ops.square(logits - taught), axis=-1) / 2

    @abc.abstractmethod
    def metric(self) -> keras.metrics.Metric:
        """Returns the metric of an epoch, the higher the better, under the name `score_name`."""

    @abc.abstractmethod
    def selection(self, images: int, scores: Iterable[EpochScore]) -> EpochSelection:
        """Returns the rule by which the epoch to keep is chosen.

        Args:
          images: Number of validation images.
          scores: Scores of the epochs so far.
        """

    @abc.abstractmethod
    def score(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Returns the value of `metric` for all images together.

        Args:
          logits: Logits of the images, float32 (n, outputs).
          labels: Labels of the images, int64 (n,).
        """

    def interval(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Returns the 95% interval of `score`, by the bootstrap over images; see `tl_keras.evaluation.bootstrap`.

        Args:
          logits: Logits of the images, float32 (n, outputs), n at least 1.
          labels: Labels of the images, int64 (n,).
        """
        return bootstrap_interval(self.score, logits, labels)

    def baseline_score(self, train_labels: np.ndarray, labels: np.ndarray) -> float | None:
        """Returns the score of one answer for all images, taken from the training images; None if the task has no such answer.

        Args:
          train_labels: Labels of the training images, int64 (m,).
          labels: Labels of the images that are scored, int64 (n,).
        """
        return None

    @abc.abstractmethod
    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns the answer for each image, int64 (n,), a position in `answer_names`; of several labels bool (n, labels).

        Args:
          logits: Logits of the images, float32 (n, outputs).
        """

    @abc.abstractmethod
    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> Calibration:
        """Returns the temperature of the task's probabilities, with what it does for images it was not fitted to.

        Args:
          logits: Logits of validation images, float32 (n, outputs), n at least 1.
          labels: Labels of the images, int64 (n,).
        """

    @abc.abstractmethod
    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns probabilities, float32 (batch, outputs), by TensorFlow operations only: exported models hold them.

        Args:
          logits: Logits, divided by the temperature, float32 (batch, outputs).
        """

    def logits_of(self, answers: np.ndarray) -> np.ndarray:
        """Returns logits of which simple models' answers are those of the task, float32 (n, outputs), as far as its score tells.

        Args:
          answers: Probabilities of the classes or labels, or numbers in their unit, float64 (n, classes, labels or columns).
        """
        return np.log(np.maximum(answers, _SMALLEST)).astype(np.float32)

    def class_probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the probability of each class, float32 (n, classes), by which predictions are ranked and measured.

        Override it if the outputs of the model do not stand for the classes one by one.

        Args:
          probabilities: Probabilities as the model has them, float32 (n, outputs).
        """
        return probabilities

    def evidence(self, logits: Any, answers: np.ndarray) -> Any:
        """Returns what speaks for the answers, float32 (batch,), by Keras's operations; its gradient shows where the student looks.

        It is the logit of the answer. Override it if the outputs do not stand for the classes one by one.

        Args:
          logits: Logits of the images, float32 (batch, outputs).
          answers: Answers as `decide` returns them, int64 (batch,).
        """
        return keras.ops.sum(logits * keras.ops.one_hot(answers, logits.shape[-1]), axis=-1)

    @abc.abstractmethod
    def answers(self, probabilities: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns the outputs of the exported signatures, by name; each has the batch as its first axis.

        Args:
          probabilities: Probabilities, float32 (batch, outputs).
          class_names: Names of the classes, in the order of the labels.
        """

    def answer_names(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Returns the names of the answers that are counted to notice a change; as a rule those of the classes."""
        return tuple(class_names)

    def count_answers(self, logits: np.ndarray, classes: int) -> np.ndarray:
        """Returns how many images are answered with each of `answer_names`, int64.

        Args:
          logits: Logits of the images, float32 (n, outputs).
          classes: Number of classes.
        """
        return np.bincount(self.decide(logits), minlength=classes)

    def names_in(self, answer: Mapping[str, Any]) -> list[str]:
        """Returns those of `answer_names` that a served answer stands for.

        Args:
          answer: Outputs of `answers` for one image, as JSON values.
        """
        return [answer["label"]]

    def measures(self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns the measures of predictions as JSON values, with `examples` among them.

        Args:
          probabilities: Output of the model, float32 (n, outputs).
          labels: Labels of the images, as the source has them.
          class_names: Names of the classes.
        """
        return classification_metrics(labels, self.class_probabilities(probabilities), tuple(class_names))

    def result_measures(
        self, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Returns the measures that `result.json` holds beside the score; None for none."""
        return None

    def remarks(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns sentences that a person should read beside the score, from what `result_measures` returned; as a rule none."""
        return []

    def describe(self, measures: Mapping[str, Any]) -> list[str]:
        """Returns what `measures` returned as lines for people, the first of which goes on with the number of images."""
        return classification_lines(measures)

    def rows(self, probabilities: np.ndarray, class_names: Sequence[str], *, top_k: int) -> list[dict[str, Any]]:
        """Returns the answer for each image as JSON values: `label`, `score` and `top_k`, a list of labels and scores.

        Args:
          probabilities: Output of the model, float32 (n, outputs).
          class_names: Names of the classes.
          top_k: Number of labels for each image, at least 1.
        """
        rows = []
        for row in self.class_probabilities(probabilities):
            best = np.argsort(-row, kind="stable")[:top_k]
            ranked = [{"label": class_names[i], "score": float(row[i])} for i in best]
            rows.append({**ranked[0], "top_k": ranked})
        return rows


def task_of(facts: Mapping[str, Any]) -> Task:
    """Returns the task that the facts of a stored model name; earlier versions knew one task.

    Raises:
      ConfigError: No task has that name.
    """
    task = task_named(facts.get("task", "auto"))
    return task.with_facts(facts["task_facts"]) if "task_facts" in facts else task


_TASKS: dict[str, Task] = {}


def register_task(task: Task) -> None:
    """Makes a task known by its name, so that configs, run directories and models can name it.

    Example:
      ```python
      import tl_keras

      tl_keras.register_task(tl_keras.SingleLabel())  # it is known already
      config = tl_keras.TransferConfig(task="single_label")
      ```

    Args:
      task: Task; it takes the place of one with the same name.
    """
    _TASKS[task.name] = task
    add_task_name(task.name, task.label_kind, task.losses)


def task_named(name: str) -> Task:
    """Returns the task of a name; `auto` is one label per image.

    Raises:
      ConfigError: No task has that name.
    """
    import tl_keras.tasks.multi_label
    import tl_keras.tasks.ordinal
    import tl_keras.tasks.regression
    import tl_keras.tasks.single_label  # noqa: F401  # they register themselves

    require_task_name(name)
    return _TASKS["single_label" if name == "auto" else name]
