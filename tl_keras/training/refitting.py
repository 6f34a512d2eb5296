"""Ends a run on all labelled images: once validation images have done what they were held back for, they train too.

Of a small set, those that are held back tell little and are missed in training. They choose no epoch, but undo fine-tuning that
makes them clearly worse, calibrate, and tell a score, by the model that has not seen them; then training begins again, from the
same weights, with all labelled images, as long as before. The test images measure that model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.console import say
from tl_keras.data.pipeline import evaluation_order
from tl_keras.evaluation.folds import tell_little
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import Progress
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.serving.student_statistics import predict_logits
from tl_keras.training.callbacks import ProgressBar, StopOnNonFiniteLoss
from tl_keras.training.checkpoints import values_of
from tl_keras.training.freeze_check import FreezeCheck
from tl_keras.training.inputs import PhaseInputs, open_inputs
from tl_keras.training.phase_runner import train_unwatched
from tl_keras.training.preparation import PreparedRun
from tl_keras.training.time_left import time_after

_PART = "all images"


@dataclasses.dataclass(frozen=True)
class Refit:
    """The training on all labelled images, and what the model before it says of the validation images.

    Attributes:
      epochs: Number of epochs.
      images: Number of images that they trained on.
      validation: int64 (k,), validation images in the order of `evaluation_order`.
      logits: float32 (k, outputs), by the model that has not seen them.
    """

    epochs: int
    images: int
    validation: np.ndarray
    logits: np.ndarray

    def logits_of(self, indices: np.ndarray) -> np.ndarray:
        """Returns the logits of some validation images, float32 (k, outputs), in their order."""
        return self.logits[np.searchsorted(self.validation, indices)]

    def to_json(self) -> dict[str, Any]:
        """Returns the entry `refit` of `result.json`."""
        return {"epochs": self.epochs, "images": self.images}


def images_of_refit(prepared: PreparedRun) -> int:
    """Returns the number of labelled images on which training begins again; 0 where it does not.

    It does where the run asks for it, test images measure the model, those for validation are few, and the run is of a kind that
    can begin again as it was.
    """
    config, splits = prepared.config, prepared.splits
    asked = config.training.refit == "auto" and config.model.method != "replicate"
    others = prepared.teacher_run or prepared.images.pseudo_labels or prepared.hardware.processes > 1
    unusual = config.model.lora_rank or config.training.optimizer or config.training.ema_momentum
    if not asked or others or unusual or prepared.own_parts.callbacks:
        return 0
    measured = len(splits.test) > 0 and tell_little(len(splits.validation))
    return len(splits.train) + len(splits.validation) if measured else 0


def initial_values(prepared: PreparedRun) -> list[np.ndarray]:
    """Returns the values with which training begins, of the variables that it may change."""
    return values_of(_variables(prepared))


def refit(
    prepared: PreparedRun,
    initial: Sequence[np.ndarray],
    inputs: PhaseInputs,
    progress: Progress,
    *,
    run: RunDirectory,
    watch: Stopwatch,
) -> Refit:
    """Trains a student again, on training and validation images; see `images_of_refit`.

    Args:
      prepared: The run; its student has the kept weights.
      initial: Values from `initial_values`, read before the first phase.
      inputs: Inputs of the last phase.
      progress: Progress of the run, which gets the findings on frozen weights.
      run: Directory of the run, which records what was trained on.
      watch: Stopwatch of the run.
    """
    splits = prepared.splits
    order = evaluation_order(prepared.source, splits.validation)
    logits = predict_logits(inputs.predict_fn(), prepared.source, splits.validation)
    labelled = np.sort(np.concatenate([splits.train, splits.validation]))
    images = dataclasses.replace(
        prepared.images, source=inputs.source, splits=dataclasses.replace(splits, train=labelled)
    )
    kept = [phase.name for phase in prepared.phases].index(progress.kept_phase)
    on_all = prepared.on(images, prepared.phases[: kept + 1])
    say(f"training begins again, on all {len(labelled)} {prepared.source.noun}s of training and validation")
    watch.start(_PART)
    for variable, value in zip(_variables(prepared), initial, strict=True):
        variable.assign(value)
    epochs = _train(on_all, progress, watch, trained_on=len(splits.train))
    run.write_json(
        "splits.json", (run.read_splits() or {}) | {"train_sha256": images.recorded_splits()["train_sha256"]}
    )
    return Refit(epochs, len(labelled), order, logits)


def _train(on_all: PreparedRun, progress: Progress, watch: Stopwatch, *, trained_on: int) -> int:
    """Trains each phase for as many epochs as before, when it had `trained_on` images; returns the number of epochs."""
    done, images, all_inputs = 0, len(on_all.images.trained), open_inputs(on_all)
    for position, (phase, inputs) in enumerate(zip(on_all.phases, all_inputs, strict=True)):
        epochs = sum(epoch.phase == phase.name for epoch in progress.history)
        name = f"{phase.name}, {_PART}"
        left = time_after(
            position,
            on_all.phases,
            all_inputs,
            images=images,
            config=on_all.config,
            seconds=watch.seconds(),
            importing=watch.here("importing"),
            trained_on=trained_on,
        )
        train_unwatched(
            on_all,
            phase,
            inputs,
            progress,
            first_epoch=done,
            epochs=epochs,
            callbacks=[
                StopOnNonFiniteLoss(name),
                FreezeCheck(name, on_all.student, phase.plan, proofs=progress.proofs),
                ProgressBar(
                    name,
                    images_per_epoch=images,
                    global_batch_size=on_all.config.training.global_batch_size,
                    first_epoch=done,
                    last_epoch=done + epochs,
                    cached=inputs.cached,
                    score_name=on_all.task.score_name,
                    noun=on_all.source.noun,
                    time_left=left,
                ),
            ],
        )
        done += epochs
    return done


def _variables(prepared: PreparedRun) -> list[Any]:
    return prepared.models.trained_variables(prepared.student, [phase.plan for phase in prepared.phases])
