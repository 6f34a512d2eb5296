"""Defines the loss, with label smoothing and class weights inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Loss = Callable[[Any, Any], Any]


def make_loss(*, label_smoothing: float, class_weights: np.ndarray | None) -> Loss:
    """Returns a function (one-hot or soft labels, logits), each float32 (batch, classes), to losses (batch,).

    Args:
      label_smoothing: Amount of smoothing, 0 to below 1 (Szegedy et al. 2016, section 7).
      class_weights: float32 (classes,), or None for equal weights. A soft label gets the weight of its mixture, unlike with
        Keras's own `class_weight`, which takes the argmax.
    """

    def loss(labels: Any, logits: Any) -> Any:
        losses = keras.losses.categorical_crossentropy(
            labels, logits, from_logits=True, label_smoothing=label_smoothing
        )
        if class_weights is None:
            return losses
        return losses * keras.ops.sum(labels * class_weights, axis=-1)

    return loss


class MeanOverImages(keras.losses.Loss):
    """The mean of a loss over the images of a batch, by their weights if there are any.

    Args:
      loss: Function from `make_loss`.
    """

    def __init__(self, loss: Loss):
        super().__init__(reduction="mean_with_sample_weight")
        self._loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a loss for each image; see `keras.losses.Loss.call`."""
        return self._loss(y_true, y_pred)


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns inverse class frequencies, float32 (num_classes,), scaled so that the mean over the examples is 1.

    Args:
      labels: int64 (n,), with each class at least once.
      num_classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * counts)).astype(np.float32)
