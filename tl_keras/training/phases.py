"""The phases of a run: what trains, for how long, at which rate."""

from __future__ import annotations

import dataclasses

from tl_keras.builder import Student
from tl_keras.config import TransferConfig
from tl_keras.freezing import FreezePlan


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run with its own optimizer.

    Attributes:
      name: `head`, `fine-tuning` or `all layers`.
      plan: Which layers of the backbone train; the head always does.
      epochs: Passes over the training images.
      learning_rate: Peak of the schedule.
    """

    name: str
    plan: FreezePlan
    epochs: int
    learning_rate: float


def plan_phases(config: TransferConfig, student: Student) -> tuple[Phase, ...]:
    """Returns the phases of a resolved config, in the order they happen.

    `fine_tune` trains the head first: the large gradients of a random head would spoil the pre-trained layers below it.
    """
    training = config.training
    if config.model.method == "replicate":
        return (Phase("all layers", student.plan, training.epochs, training.learning_rate),)
    if config.model.method == "feature_extraction":
        return (Phase("head", student.plan, training.epochs, training.learning_rate),)
    return (
        Phase("head", student.plan.frozen(), training.head_epochs, training.learning_rate),
        Phase(
            "fine-tuning",
            student.plan,
            training.epochs,
            training.learning_rate * training.fine_tune_learning_rate_factor,
        ),
    )
