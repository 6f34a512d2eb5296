"""A run from its first to its last event: `train_and_evaluate`."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import Student, TeacherChoice, choose_backbone
from tl_keras.config import TransferConfig, export_formats, resolve, to_json
from tl_keras.data.inspection import Inspection, inspect_source
from tl_keras.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from tl_keras.data.sources import Source, open_source
from tl_keras.data.splits import Splits, split_source
from tl_keras.distribution.hardware import Hardware, resolve_hardware
from tl_keras.serving.formats import require_converters
from tl_keras.serving.handover import hand_over
from tl_keras.training.callbacks import ProgressBar, RecordEpochs, StopOnNonFiniteLoss
from tl_keras.training.checkpoints import Progress, read_progress, restore_variables, save_checkpoint
from tl_keras.training.losses import balanced_class_weights
from tl_keras.training.phases import Phase, plan_phases
from tl_keras.training.run_directory import RunDirectory, writing
from tl_keras.training.transforms import training_transform
from tl_keras.training.workshop import Workshop

# A 3:2 photograph keeps 0.51 of its area in a centre crop of 7/8 of the short side, and no teacher minds.
_KEPT_AREA_WORTH_A_WORD = 0.45


def train_and_evaluate(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    source: Source | None = None,
    workshop: Workshop | None = None,
) -> dict[str, Any]:
    """Trains, evaluates and exports one student; resumes what was killed; leaves what is finished alone.

    Args:
      config: What to do.
      workdir: The run directory; see `tl_keras.training.run_directory`.
      source: The images, for example `tl_keras.ArraySource(images, labels)`. None: what `config.data.source` names.
      workshop: Give the same one to runs that differ in seed or data only, and they share what is costly to make.

    Returns:
      The contents of `result.json`, and `resumed`: whether any of the work had been done before.

    Raises:
      TransferError: One of its kinds; the message is one line, and says what was expected, received, and the remedy.
    """
    run, workshop = RunDirectory(workdir), workshop or Workshop()
    if source is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, source=source.name))
    config = resolve(config)
    require_converters(export_formats(config.export))
    teacher = choose_backbone(config.model)
    config.model.image_size, config.model.alpha = teacher.preprocess.image_size, teacher.alpha
    run.check_writable()
    run.check_same_run(to_json(config))
    if finished := run.read_result():
        _say(f"{run.path} holds this run, finished; nothing is left to do")
        return {**finished, "resumed": True}

    hardware = resolve_hardware(config.strategy)
    keras.utils.set_random_seed(config.seed)
    if source is None:
        source = open_source(config.data.source, data_dir=config.data.data_dir)
    inspection = inspect_source(source, show_progress=True)
    splits = split_source(
        source,
        inspection,
        validation_fraction=config.data.validation_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.seed,
        train_examples_per_class=config.data.train_examples_per_class,
    )
    for remark in (*source.notes, *inspection.findings, *_crop_loss(teacher.preprocess, inspection)):
        _say(f"data: {remark}")
    student = workshop.student(teacher, config.model, num_classes=len(source.class_names))
    weights_hash = fingerprint(student.backbone)
    resumed = run.begin(
        config=to_json(config),
        data_hash=inspection.data_hash,
        splits=splits.to_json(source),
        labels=source.class_names,
    )
    phases = plan_phases(config, student)
    _say(describe(config, teacher, student, phases, splits, hardware))

    job = _Job(config, student, source, splits, run, workshop)
    progress, trainer = _train(job, phases)
    trained = sum(math.prod(weight.shape) for weight in student.model.trainable_weights)
    result = {
        **_evaluate(job, trainer, progress),
        "method": config.model.method,
        "backbone": teacher.spec.name,
        "weights": teacher.weights,
        "unfreeze": config.model.unfreeze,
        "best_phase": progress.best_phase,
        "best_epoch": progress.best_epoch,
        **_speed(progress.history),
        "parameters_trained": trained,
        "parameters_frozen": student.model.count_params() - trained,
        "images": {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
        "seed": config.seed,
        "hardware": hardware.to_json(),
        "versions": versions(),
        "hashes": {
            "teacher_weights": weights_hash,
            "student_weights": fingerprint(student.model),
            "data": inspection.data_hash,
        },
    }
    result |= hand_over(
        student,
        run,
        source,
        splits,
        formats=export_formats(config.export),
        global_batch_size=config.training.global_batch_size,
    )
    run.write_json("result.json", result)
    return {**result, "resumed": resumed}


def describe(
    config: TransferConfig,
    teacher: TeacherChoice,
    student: Student,
    phases: tuple[Phase, ...],
    splits: Splits,
    hardware: Hardware,
) -> str:
    """Returns what the run is going to do, and why, in a few sentences."""
    steps = " Then ".join(
        f"{phase.name}: {phase.epochs} epochs at {phase.learning_rate:.2g}, {phase.plan.describe()}."
        for phase in phases
    )
    origin = {"imagenet": "ImageNet weights", "embedded": "the embedded weights", "none": "random weights"}
    weights = origin.get(teacher.weights, f"weights from {teacher.weights}")
    reason = {
        "replicate": "the architecture alone is kept, its weights are random: the measure of what transfer is worth",
        "feature_extraction": "only the new head is trained: right where the new images resemble the teacher's or are few",
        "fine_tune": "the head first, then the last layers at a small rate: right where the new images differ",
    }[config.model.method]
    lines = [
        f"teacher {teacher.spec.name} with {weights}, {teacher.preprocess.image_size} px; method {config.model.method}: {reason}.",
        f"{steps[0].upper()}{steps[1:]}",
        f"images: {len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test. "
        f"Device: {hardware.description}, because {hardware.reason}.",
    ]
    if teacher.weights == "none" and config.model.method != "replicate":
        lines.append(f"weights=none: {config.model.method} from random weights transfers nothing; use it to test only.")
    if student.plan.note:
        lines.append(f"{student.plan.note}.")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Returns the versions of what decides the numbers."""
    return {
        "tl_keras": importlib.metadata.version("tl_keras"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@dataclasses.dataclass(frozen=True)
class _Job:
    """What every phase of a run shares."""

    config: TransferConfig
    student: Student
    source: Source
    splits: Splits
    run: RunDirectory
    workshop: Workshop

    @property
    def best(self) -> pathlib.Path:
        return self.run.checkpoints / "best.npz"

    @property
    def last(self) -> pathlib.Path:
        return self.run.checkpoints / "last.npz"


def _train(job: _Job, phases: tuple[Phase, ...]) -> tuple[Progress, keras.Model]:
    """Trains all phases from where the last checkpoint stands; leaves the best weights in the student.

    Returns:
      How it went, and the trainer of the last phase, to evaluate with.
    """
    with writing(job.run.checkpoints):
        job.run.checkpoints.mkdir(exist_ok=True)
    saved = read_progress(job.last)
    progress = saved or Progress()
    if progress.history:
        _say(f"going on after epoch {len(progress.history)}")
    trainer: keras.Model = None
    for position in range(progress.phase, len(phases)):
        resume = saved is not None and position == saved.phase
        if not resume:
            progress = progress.at_start_of(position)
        trainer = _train_phase(job, phases[position], progress, resume=resume)
        restore_variables(job.best, job.student.model.variables)
    return progress, trainer


def _train_phase(job: _Job, phase: Phase, progress: Progress, *, resume: bool) -> keras.Model:
    """Trains what is left of one phase, with an optimizer of its own, and returns the trainer."""
    training, model = job.config.training, job.student.model
    steps = steps_per_epoch(len(job.splits.train), training.global_batch_size)
    trainer = job.workshop.trainer(
        job.student, phase, training, steps=steps * phase.epochs, class_weights=_class_weights(job)
    )
    variables = [*model.variables, *trainer.optimizer.variables]
    if resume:
        restore_variables(job.last, variables)
    else:
        save_checkpoint(job.last, variables=variables, progress=progress)
    if progress.phase_over or progress.phase_epochs == phase.epochs:
        return trainer

    first_epoch = len(progress.history)
    last_epoch = first_epoch + phase.epochs - progress.phase_epochs
    callbacks = [
        StopOnNonFiniteLoss(phase.name),
        ProgressBar(
            phase.name,
            images_per_epoch=len(job.splits.train),
            global_batch_size=training.global_batch_size,
            first_epoch=first_epoch,
            last_epoch=last_epoch,
        ),
        RecordEpochs(
            progress=progress,
            phase_name=phase.name,
            model_variables=model.variables,
            optimizer_variables=trainer.optimizer.variables,
            best=job.best,
            last=job.last,
            patience=training.early_stopping_patience,
            images_per_epoch=len(job.splits.train),
            write_history=lambda history: _write_metrics(job.run, history),
        ),
        keras.callbacks.TensorBoard(job.run.logs, write_graph=False),
    ]
    trainer.stop_training = False
    with writing(job.run.path):
        trainer.fit(
            _training_batches(job, first_epoch, last_epoch),
            steps_per_epoch=steps,
            initial_epoch=first_epoch,
            epochs=last_epoch,
            validation_data=_evaluation_batches(job, job.splits.validation).cache(),
            shuffle=False,  # the pipeline shuffles; Keras warns otherwise
            verbose=0,
            callbacks=callbacks,
        )
    return trainer


def _training_batches(job: _Job, first_epoch: int, last_epoch: int) -> tf.data.Dataset:
    return training_batches(
        job.source,
        job.splits.train,
        transform=training_transform(
            job.student.preprocess,
            augmentation=job.config.data.augmentation,
            horizontal_flip=job.config.data.horizontal_flip,
        ),
        num_classes=len(job.source.class_names),
        global_batch_size=job.config.training.global_batch_size,
        seed=job.config.seed,
        first_epoch=first_epoch,
        last_epoch=last_epoch,
    )


def _evaluation_batches(job: _Job, indices: np.ndarray) -> tf.data.Dataset:
    return evaluation_batches(
        job.source,
        indices,
        transform=job.student.preprocess.evaluation_transform,
        num_classes=len(job.source.class_names),
        global_batch_size=job.config.training.global_batch_size,
    )


def _class_weights(job: _Job) -> np.ndarray | None:
    if job.config.training.class_weights == "none":
        return None
    return balanced_class_weights(job.source.labels[job.splits.train], len(job.source.class_names))


def _evaluate(job: _Job, trainer: keras.Model, progress: Progress) -> dict[str, float]:
    """Returns accuracy and loss of the best weights: on validation as recorded, on test, where there is one, measured now."""
    best = progress.history[progress.best_epoch - 1]
    measured = {"validation_accuracy": best["validation_accuracy"], "validation_loss": best["validation_loss"]}
    if len(job.splits.test):
        figures = trainer.evaluate(_evaluation_batches(job, job.splits.test), verbose=0, return_dict=True)
        measured |= {"test_accuracy": figures["accuracy"], "test_loss": figures["loss"]}
    return {**measured, "loss": best["validation_loss"]}


def _write_metrics(run: RunDirectory, history: list[dict[str, Any]]) -> None:
    run.write_text("metrics.jsonl", "".join(f"{json.dumps(epoch)}\n" for epoch in history))


def _speed(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns seconds by phase and the median of images a second, which the slow first epoch does not move."""
    seconds: dict[str, float] = {}
    for epoch in history:
        seconds[epoch["phase"]] = round(seconds.get(epoch["phase"], 0.0) + epoch["seconds"], 3)
    return {
        "seconds": seconds,
        "images_per_second": float(np.median([epoch["images_per_second"] for epoch in history])),
    }


def _crop_loss(preprocess: PreprocessSpec, inspection: Inspection) -> list[str]:
    """Returns a sentence where the teacher's crop throws away much of the images."""
    heights, widths = inspection.heights[inspection.decodable], inspection.widths[inspection.decodable]
    kept = float(np.mean(preprocess.kept_fraction(heights, widths)))
    if kept >= _KEPT_AREA_WORTH_A_WORD:
        return []
    return [
        f"the teacher's centre crop keeps {kept:.0%} of the images' area on average; --resize=squash or --resize=pad keeps all"
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
