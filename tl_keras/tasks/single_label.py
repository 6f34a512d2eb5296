"""Implements the task of one label per image: softmax, cross-entropy, accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tl_keras.evaluation.calibration import Calibration, calibrate
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.tasks.base import LossFn, Task, register_task

_TOP_K = 5


class SingleLabel(Task):
    """One label per image.

    Example:
      ```python
      import tl_keras

      task = tl_keras.SingleLabel()
      assert task.outputs(("daisy", "rose", "tulip")) == 3
      ```
    """

    name: ClassVar[str] = "single_label"
    report_sections: ClassVar[tuple[str, ...]] = ("classes", "examples", "calibration")

    def outputs(self, class_names: Sequence[str]) -> int:
        """Returns the number of classes."""
        return len(class_names)

    def targets(self, labels: tf.Tensor, outputs: int) -> tf.Tensor:
        """Returns one-hot labels, float32 (..., outputs)."""
        return tf.one_hot(labels, outputs)

    def class_weights(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """Returns inverse class frequencies, float32 (outputs,), scaled so that the mean over the images is 1.

        Args:
          labels: int64 (n,), each class at least once.
          outputs: Number of classes.
        """
        counts = np.bincount(labels, minlength=outputs)
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
        """Returns `probabilities`, `label` and `score` of the best class, and `top_k_labels` and `top_k_scores` of five."""
        scores, best = tf.math.top_k(probabilities, k=min(_TOP_K, len(class_names)))
        labels = tf.gather(tf.constant(class_names), best)
        return {
            "probabilities": probabilities,
            "label": labels[:, 0],
            "score": scores[:, 0],
            "top_k_labels": labels,
            "top_k_scores": scores,
        }


SINGLE_LABEL = SingleLabel()
register_task(SINGLE_LABEL)
