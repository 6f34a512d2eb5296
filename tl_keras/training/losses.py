"""Averages the loss of a task over the images of a batch."""

from __future__ import annotations

from typing import Any

import keras

from tl_keras.tasks.base import LossFn


class MeanOverImages(keras.losses.Loss):
    """The mean of a loss over the images of a batch, by their weights if there are any.

    Args:
      loss: Function that `Task.loss` returned.
    """

    def __init__(self, loss: LossFn):
        super().__init__(reduction="mean_with_sample_weight")
        self._loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a loss for each image; see `keras.losses.Loss.call`."""
        return self._loss(y_true, y_pred)
