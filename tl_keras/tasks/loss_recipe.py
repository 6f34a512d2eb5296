"""Says by what recipe a loss is made, and has the losses that weigh images or labels by how hard or how rare they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tl_keras.config import TrainingConfig
from tl_keras.config.choices import LossName

if TYPE_CHECKING:
    from tl_keras.tasks.base import LossFn, Task

# Lin et al. 2017, "Focal loss for dense object detection", section 4.1.
FOCAL_GAMMA = 2.0

# Ridnik et al. 2021, "Asymmetric loss for multi-label classification", section 4.1; its exponent of labels that an image has is 0.
_ASYMMETRIC_GAMMA = 4.0
_ASYMMETRIC_MARGIN = 0.05


@dataclasses.dataclass(frozen=True)
class LossRecipe:
    """What decides a loss besides the task. Equal facts make an equal recipe, so that compiled models are kept by it.

    Attributes:
      name: Name of the loss; empty for the task's own.
      label_smoothing: Amount of label smoothing, 0 to below 1.
      class_weights: Weight of each class; empty for equal ones.
      frequencies: Part of the training images that each class has, for logit adjustment; otherwise empty.
    """

    name: LossName = ""
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    frequencies: tuple[float, ...] = ()

    @classmethod
    def of(cls, config: TrainingConfig, task: Task, labels: np.ndarray, outputs: int) -> LossRecipe:
        """Returns the recipe that a config asks for.

        Args:
          config: Options of the training.
          task: Task that is learnt.
          labels: Labels of the training images, as the source has them.
          outputs: Number of logits.
        """
        weights = task.class_weights(labels, outputs).tolist() if config.class_weights == "balanced" else ()
        adjusted = config.loss == "logit_adjustment"
        counts = np.maximum(np.bincount(labels, minlength=outputs), 1) if adjusted else np.zeros(0)
        return cls(config.loss, config.label_smoothing, tuple(weights), tuple((counts / len(labels)).tolist()))

    @property
    def weights(self) -> np.ndarray | None:
        """Returns the class weights, float32 (classes,), or None for equal ones."""
        return np.array(self.class_weights, np.float32) if self.class_weights else None


def focal(recipe: LossRecipe) -> LossFn:
    """Returns Keras's focal loss of one class per image, in which images that are answered rightly count little."""
    alpha = 1.0 if recipe.weights is None else recipe.weights

    def loss(targets: Any, logits: Any) -> Any:
        return keras.losses.categorical_focal_crossentropy(
            targets,
            logits,
            alpha=alpha,
            gamma=FOCAL_GAMMA,
            from_logits=True,
            label_smoothing=recipe.label_smoothing,
        )

    return loss


def logit_adjusted(loss: LossFn, recipe: LossRecipe) -> LossFn:
    """Returns a loss of logits to which the logarithm of each class's frequency is added.

    What is learnt is the class that is likeliest if all were equally frequent (Menon et al. 2021, "Long-tail learning via logit
    adjustment", equation 10, with its temperature at 1).
    """
    offsets = np.log(np.array(recipe.frequencies)).astype(np.float32)
    return lambda targets, logits: loss(targets, logits + offsets)


# From whether images have the labels, float (batch, labels), logits and weights of having one, to losses (batch, labels).
LabelLoss = Callable[[Any, Any, Any], Any]


def over_known_labels(of_labels: LabelLoss, *, label_smoothing: float, class_weights: np.ndarray | None) -> LossFn:
    """Returns the mean of a loss of labels over those that are known of an image.

    Args:
      of_labels: Loss of each label.
      label_smoothing: 0 to below 1; targets become this part nearer to one half.
      class_weights: Weights of having a label, against lacking it, float32 (labels,); None for equal ones.
    """
    weights = 1.0 if class_weights is None else class_weights

    def loss(targets: Any, logits: Any) -> Any:
        ops = keras.ops
        unknown = ops.isnan(targets)
        has = ops.where(unknown, ops.zeros_like(targets), targets)
        each = of_labels(has * (1 - label_smoothing) + label_smoothing / 2, logits, weights)
        known = ops.cast(ops.logical_not(unknown), each.dtype)
        return ops.sum(each * known, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)

    return loss


def label_cross_entropy(has: Any, logits: Any, weights: Any) -> Any:
    """Returns the binary cross-entropy of each label; see `LabelLoss`."""
    of_having = -keras.ops.log_sigmoid(logits)
    return has * of_having * weights + (1 - has) * (of_having + logits)


def label_focal(has: Any, logits: Any, weights: Any) -> Any:
    """Returns Keras's binary focal loss of each label; see `LabelLoss`."""
    one_by_one = (keras.ops.expand_dims(values, -1) for values in (has, logits))  # Keras averages over the last axis
    losses = keras.losses.binary_focal_crossentropy(*one_by_one, gamma=FOCAL_GAMMA, from_logits=True)
    return losses * (has * weights + 1 - has)


def label_asymmetric(has: Any, logits: Any, weights: Any) -> Any:
    """Returns the asymmetric loss of each label, in which lacking it counts little once that is answered; see `LabelLoss`."""
    ops = keras.ops
    shifted = ops.maximum(ops.sigmoid(logits) - _ASYMMETRIC_MARGIN, 0.0)
    of_lacking = -(shifted**_ASYMMETRIC_GAMMA) * ops.log1p(-shifted)
    return -has * ops.log_sigmoid(logits) * weights + (1 - has) * of_lacking
