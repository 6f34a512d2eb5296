"""Plans the phases of a run: what trains, for how long, and at which rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tl_keras.builder import Student, plan_student
from tl_keras.config import TransferConfig, parse_schedule, with_epochs
from tl_keras.errors import BackboneError
from tl_keras.freezing import FreezePlan

_HEAD = "head"


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run with its own optimizer.

    Attributes:
      name: `head`, `fine-tuning` (with what it unfreezes, if there are several) or `all layers`.
      plan: Layers of the backbone that train; the head always does.
      epochs: Number of passes over the training images.
      rate_factor: Peak of the schedule, as a part of the run's learning rate.
      recalibrate: Whether the statistics of BatchNorm are estimated again before the phase, in the layers that it trains.
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
    config = with_epochs(config, images=images)
    lengths = epochs_of_phases(config)
    if config.model.method != "fine_tune":
        return tuple(Phase(name, student.plan, epochs) for name, epochs in lengths.items())
    head = Phase(_HEAD, student.plan.frozen(), lengths.pop(_HEAD))
    factor, recalibrate = config.training.fine_tune_learning_rate_factor, config.model.batch_norm == "recalibrate"
    if not config.model.unfreeze_schedule:
        plans = [student.plan]
    else:
        cuts = [cut for cut, _ in parse_schedule(config.model.unfreeze_schedule, config.training.epochs)]
        plans = [plan_student(student.teacher, student.backbone, config.model, unfreeze=cut) for cut in cuts]
    return head, *(
        Phase(name, plan, epochs, factor, recalibrate)
        for (name, epochs), plan in zip(lengths.items(), plans, strict=True)
    )


def require_training(phases: Sequence[Phase], student: Student) -> None:
    """Raises an error if a phase names layers of which nothing trains, before its first step.

    Args:
      phases: Phases as `plan_phases` returns them.
      student: Student that is to be trained; in a finished one, the matrices of LoRA are merged.

    Raises:
      BackboneError: Nothing of the named layers trains, nor are their statistics estimated again.
    """
    for plan, recalibrated in ((phase.plan, phase.recalibrate) for phase in phases):
        backbone = student.backbone
        if not plan.trained or plan.trained_weights(backbone) or (recalibrated and plan.frozen_batch_norms(backbone)):
            continue
        if plan.lora_rank:
            named, remedy = "layers without matrices of lora_rank", "Leave lora_rank out"
        else:
            named, remedy = "BatchNorm, which --batch_norm=freeze keeps", "Use --batch_norm=train"
        raise BackboneError(
            f"unfreeze: expected layers of which something trains. Received: {plan.unfreeze}, which names nothing but {named}. "
            f"{remedy}, or name other layers."
        )


def epochs_of_phases(config: TransferConfig) -> dict[str, int]:
    """Returns the epochs of each phase of a resolved config, in order, once `with_epochs` has filled them in.

    Raises:
      ConfigError: The schedule is none.
    """
    model, training = config.model, config.training
    if model.method == "replicate":
        return {"all layers": training.epochs}
    if model.method == "feature_extraction":
        return {_HEAD: training.epochs}
    if not model.unfreeze_schedule:
        return {_HEAD: training.head_epochs, "fine-tuning": training.epochs}
    stages = parse_schedule(model.unfreeze_schedule, training.epochs)
    return {_HEAD: training.head_epochs, **{f"fine-tuning {cut}": length for cut, length in stages}}
