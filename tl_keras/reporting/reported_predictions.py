"""Holds what a run answered on the images that its report shows."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tl_keras.data.sources import Source
from tl_keras.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class ReportedPredictions:
    """The student's outputs for the images of one split, in the order of `evaluation_order`.

    Attributes:
      source: Source of the images.
      split: Name of the split, `test` or `validation`.
      indices: int64 (n,), positions in the source.
      labels: Labels as the source has them.
      logits: float32 (n, outputs).
      temperature: Temperature fitted on validation at the end of training.
      task: Task of the student.
    """

    source: Source
    split: str
    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    temperature: float
    task: Task

    def probabilities(self, temperature: float) -> np.ndarray:
        """Returns the probability of each class at some temperature, float32 (n, classes)."""
        probabilities = self.task.probabilities(tf.constant(self.logits / np.float32(temperature))).numpy()
        return self.task.class_probabilities(probabilities)

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """Returns the calibrated probabilities, float32 (n, classes), as the exported model computes them."""
        return self.probabilities(self.temperature)

    @functools.cached_property
    def decisions(self) -> np.ndarray:
        """Returns the class that the student answers for each image, int64 (n,)."""
        return self.task.decide(self.logits)
