"""Averages the loss of a task over the images of a training step."""

from __future__ import annotations

from typing import Any

import keras

from tl_keras.tasks.base import LossFn


class MeanOverStep(keras.losses.Loss):
    """The sum of a loss over a batch, divided by the images of a full step, so that every image of an epoch counts alike.

    By the mean over its own images, a last batch of two out of 130 would move the weights as far as one of 32, by a gradient of two
    images: fine-tuning at 3e-4 then forgot what the teacher knew (a loss of 2.5 after six epochs, of 1.0 without those two).

    Args:
      loss: Function that `Task.loss` returned.
      images: Number of images in a full step, over all replicas.
    """

    def __init__(self, loss: LossFn, *, images: int):
        super().__init__(reduction="sum")
        self._loss = loss
        self._images = images

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a loss for each image; see `keras.losses.Loss.call`."""
        return self._loss(y_true, y_pred) / self._images
