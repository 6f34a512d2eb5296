"""Plans the phases of a run: what trains, for how long, and at which rate."""

from __future__ import annotations

import dataclasses

from tl_keras.builder import Student, plan_student
from tl_keras.config import TransferConfig, parse_schedule, with_epochs
from tl_keras.freezing import FreezePlan


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run with its own optimizer.

    Attributes:
      name: `head`, `fine-tuning` (with what it unfreezes, if there are several) or `all layers`.
      plan: Layers of the backbone that train; the head always does.
      epochs: Number of passes over the training images.
      rate_factor: Peak of the schedule, as a part of the run's learning rate.
      recalibrate: Whether the statistics of BatchNorm are estimated again before the phase, in the layers that it is the
        first to train.
    """

    name: str
    plan: FreezePlan
    epochs: int
    rate_factor: float = 1.0
    recalibrate: bool = False


def plan_phases(config: TransferConfig, student: Student, *, images: int) -> tuple[Phase, ...]:
    """Returns the phases of a resolved config in order, for a number of training images.

    `fine_tune` trains the head first: the large gradients of a random head would spoil the pre-trained layers below it
    (Kumar et al. 2022, "Fine-tuning can distort pretrained features").

    Raises:
      BackboneError: A stage of the schedule names no layer.
    """
    training = with_epochs(config, images=images).training
    if config.model.method == "replicate":
        return (Phase("all layers", student.plan, training.epochs),)
    if config.model.method == "feature_extraction":
        return (Phase("head", student.plan, training.epochs),)
    head = Phase("head", student.plan.frozen(), training.head_epochs)
    factor, recalibrate = training.fine_tune_learning_rate_factor, config.model.batch_norm == "recalibrate"
    if not config.model.unfreeze_schedule:
        return head, Phase("fine-tuning", student.plan, training.epochs, factor, recalibrate)
    stages = parse_schedule(config.model.unfreeze_schedule, training.epochs)
    return head, *(
        Phase(
            f"fine-tuning {unfreeze}",
            plan_student(student.teacher, student.backbone, config.model, unfreeze=unfreeze),
            length,
            factor,
            recalibrate,
        )
        for unfreeze, length in stages
    )
