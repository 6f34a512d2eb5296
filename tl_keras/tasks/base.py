"""Defines a task, and finds one by its name."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config.choices import add_task_name, require_task_name
from tl_keras.evaluation.calibration import Calibration
from tl_keras.evaluation.selection import EpochScore, EpochSelection

# From targets and logits, each float32 (batch, outputs), to losses, float32 (batch,).
LossFn = Callable[[Any, Any], Any]

# More change the ends of an interval by less than their rounding.
_RESAMPLES = 1000


class Task(abc.ABC):
    """Everything that depends on what a label is: targets, loss, score, calibration, answers and report.

    Subclass it for a task of your own, and call `register_task` before the first run.

    Attributes:
      name: Name of the task, as in `--task` and in `config.json`.
      score_name: Name of the score, in lower case with underscores: the keys of `result.json` end with it, and people read it in
        words.
      report_sections: Names of the parts of the report that make sense for the task, in their order, of those in
        `tl_keras.reporting.sections`.

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
    score_name: ClassVar[str] = "accuracy"
    report_sections: ClassVar[tuple[str, ...]] = ()

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
          labels: Labels as the source has them, int64 (...).
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
        """Returns the 95% interval of `score`, by the bootstrap over images (Efron 1979, the percentile method).

        Args:
          logits: Logits of the images, float32 (n, outputs), n at least 1.
          labels: Labels of the images, int64 (n,).
        """
        draws = np.random.default_rng(0).integers(0, len(labels), (_RESAMPLES, len(labels)))
        low, high = np.quantile([self.score(logits[drawn], labels[drawn]) for drawn in draws], (0.025, 0.975))
        return float(low), float(high)

    @abc.abstractmethod
    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Returns the answer for each image, int64 (n,), a position in the class names.

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
    add_task_name(task.name)


def task_named(name: str) -> Task:
    """Returns the task of a name; `auto` is one label per image.

    Raises:
      ConfigError: No task has that name.
    """
    import tl_keras.tasks.single_label  # noqa: F401  # it registers itself

    require_task_name(name)
    return _TASKS["single_label" if name == "auto" else name]
