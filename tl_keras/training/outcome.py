"""Measures the outcome of a trained run, as `result.json` holds it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.weights import fingerprint
from tl_keras.data.groups import units
from tl_keras.data.pipeline import evaluation_order
from tl_keras.evaluation.folds import design_effect, widened
from tl_keras.lora import is_lora
from tl_keras.runs.records import Progress, RunResult
from tl_keras.serving.package import PackagedStudent
from tl_keras.tasks.base import Task
from tl_keras.training.out_of_fold import OutOfFold
from tl_keras.training.preparation import PreparedRun, RunImages
from tl_keras.training.versions import versions


def outcome(
    prepared: PreparedRun,
    progress: Progress,
    *,
    test: np.ndarray,
    logits: np.ndarray,
    teacher_weights: str,
    packaged: PackagedStudent,
    seconds: Mapping[str, float],
    out_of_fold: OutOfFold | None = None,
) -> RunResult:
    """Returns the result of a trained run, before anything is exported.

    Args:
      prepared: The run; its student has the kept weights.
      progress: Progress at its end.
      test: Test images that were measured, int64 (k,); none where there are none.
      logits: Logits of the test images, or of the validation images if there are none, float32 (k, outputs), in the
        order of `evaluation_order`.
      teacher_weights: Fingerprint of the backbone before training.
      packaged: Facts about the student, as `package_student` returns them.
      seconds: Seconds of each part so far.
      out_of_fold: Findings of the folds, whose score and loss are then those of validation; None without folds.
    """
    config, student, splits, groups = prepared.config, prepared.student, prepared.splits, prepared.source.groups
    trained = sum(math.prod(weight.shape) for weight in student.model.trainable_weights)
    reported = test if len(test) else splits.validation
    labels = prepared.source.labels[evaluation_order(prepared.source, reported)]
    test_score, test_loss = _scores(prepared, logits, labels, packaged.task) if len(test) else (None, None)
    validation_score, validation_loss = _validation_scores(prepared, progress, out_of_fold)
    return RunResult(
        validation_score=validation_score,
        validation_loss=validation_loss,
        loss=validation_loss,
        test_score=test_score,
        test_loss=test_loss,
        baseline_score=prepared.task.baseline_score(prepared.source.labels[splits.train], labels),
        head_validation_score=_head_alone(progress) if config.model.method == "fine_tune" else None,
        interval=list(_interval(prepared, packaged, reported, logits, None if len(test) else out_of_fold)),
        method=config.model.method,
        backbone=student.teacher.spec.name,
        weights=student.teacher.weights,
        unfreeze=config.model.unfreeze,
        kept_phase=progress.kept_phase,
        kept_epoch=progress.kept_epoch,
        epochs=len(progress.history),
        fine_tuning_undone=progress.kept_phase == "head" if config.model.method == "fine_tune" else None,
        freeze_proof=progress.proofs,
        seconds=rounded(seconds),
        images_per_second=_median(epoch.images_per_second for epoch in progress.history),
        cached_images_per_second=_median(epoch.cached_images_per_second for epoch in progress.history),
        time_to_score=_time_to_score(progress, prepared.task.score_name, price_per_hour=config.price_per_hour),
        parameters_trained=trained,
        parameters_frozen=_parameters_frozen(student.model),
        images={"train": len(prepared.images.labelled), "validation": len(splits.validation), "test": len(splits.test)},
        remarks=list(prepared.remarks),
        noun=None if prepared.source.noun == "image" else prepared.source.noun,
        distillation=_distillation(prepared),
        folds=out_of_fold.to_json() if out_of_fold else None,
        pseudo_labels=given.to_json() if (given := prepared.images.pseudo_labels) else None,
        groups=None if groups is None else {"by": groups.by, "number": len(groups)},
        seed=config.seed,
        hardware=prepared.hardware.to_json(),
        versions=versions(),
        hashes=_hashes(prepared, teacher_weights),
        calibration=packaged.calibration,
        own_parts=prepared.own_parts.to_json(),
        measures=task_measures(packaged, prepared.source.class_names, logits, labels),
        score_name=prepared.task.score_name,
    )


def _hashes(prepared: PreparedRun, teacher_weights: str) -> dict[str, str]:
    return {
        "teacher_weights": teacher_weights,
        "student_weights": fingerprint(prepared.student.model),
        "data": prepared.images.inspection.data_hash,
    }


def _parameters_frozen(model: keras.Model) -> int:
    """Returns the number of parameters that did not train; LoRA's matrices in frozen layers are no part of the network."""
    frozen = [weight for weight in model.weights if not is_lora(weight)]
    trained = {id(weight) for weight in model.trainable_weights}
    return sum(math.prod(weight.shape) for weight in frozen if id(weight) not in trained)


def _distillation(prepared: PreparedRun) -> dict[str, Any] | None:
    if prepared.teacher_run is None:
        return None
    return {
        **dataclasses.asdict(prepared.config.distillation),
        "teacher_weights": prepared.teacher_run.weights,
        "unlabelled_images": len(prepared.images.distilled),
        "same_views": prepared.views_per_image > 0,
    }


def _interval(
    prepared: PreparedRun,
    packaged: PackagedStudent,
    reported: np.ndarray,
    logits: np.ndarray,
    out_of_fold: OutOfFold | None,
) -> tuple[float, float]:
    """Returns the 95% interval of the score on some images; those of a group, and copies, are right and wrong together."""
    if out_of_fold:
        return out_of_fold.interval
    task, order = packaged.task, evaluation_order(prepared.source, reported)
    labels = prepared.source.labels[order]
    interval = task.interval(logits, labels)
    return widened(task.score(logits, labels), interval, effect_of_groups(task, prepared.images, order, logits))


def effect_of_groups(task: Task, images: RunImages, indices: np.ndarray, logits: np.ndarray) -> float:
    """Returns the factor by which copies and groups enlarge the variance of the score, at least 1; see `design_effect`.

    Args:
      task: Task that scores.
      images: Images of the run.
      indices: Images that were predicted, int64 (k,).
      logits: Their logits, float32 (k, outputs).
    """
    labels, groups = images.source.labels[indices], images.source.groups
    unit = units(images.inspection.sha256[indices], groups.names[indices] if groups else None)
    return design_effect(lambda rows: task.score(logits[rows], labels[rows]), unit)


def task_measures(
    packaged: PackagedStudent, class_names: Sequence[str], logits: np.ndarray, labels: np.ndarray
) -> dict[str, Any] | None:
    """Returns the measures of the task beside its score, from logits, float32 (k, outputs), and the labels of the same images."""
    task, temperature = packaged.task, packaged.calibration.get("temperature", 1.0)
    outputs = task.probabilities(tf.constant(logits / np.float32(temperature))).numpy()
    measures = task.result_measures(outputs, labels, class_names)
    return {**measures, "remarks": remarks} if measures and (remarks := task.remarks(measures)) else measures


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Returns seconds of each part, to a thousandth."""
    return {part: round(spent, 3) for part, spent in seconds.items()}


def _validation_scores(prepared: PreparedRun, progress: Progress, out_of_fold: OutOfFold | None) -> tuple[float, float]:
    """Returns score and loss of the kept epoch on validation, or out of fold."""
    if out_of_fold is None:
        kept = progress.history[progress.kept_epoch - 1]
        return kept.validation_score, kept.validation_loss
    return _scores(prepared, out_of_fold.logits, prepared.source.labels[out_of_fold.labelled], prepared.task)


def _scores(prepared: PreparedRun, logits: np.ndarray, labels: np.ndarray, task: Task) -> tuple[float, float]:
    """Returns score, as a task answers, and loss on some images, from their logits."""
    losses = prepared.task.loss_of(prepared.loss)(keras.ops.convert_to_tensor(prepared.targets(labels).numpy()), logits)
    return task.score(logits, labels), float(keras.ops.mean(losses))


def _head_alone(progress: Progress) -> float | None:
    """Returns the validation score at the end of the head's phase, or None if there was none."""
    scores = [epoch.validation_score for epoch in progress.history if epoch.phase == "head"]
    return scores[-1] if scores else None


def _median(speeds: Iterable[float | None]) -> float | None:
    """Returns the speed of the median epoch, which the slow first one does not affect; None if no epoch has one."""
    measured = [speed for speed in speeds if speed]
    return float(np.median(measured)) if measured else None


def _time_to_score(progress: Progress, score_name: str, *, price_per_hour: float) -> list[dict[str, float]]:
    """Returns each best validation score so far, the seconds until it was reached and, with a price, their cost.

    Seconds count from the start of the command, including preparation, as in DAWNBench (Coleman et al. 2017).
    """
    reached: list[dict[str, float]] = []
    key = f"validation_{score_name}"
    seconds = progress.preparing_seconds
    for epoch in progress.history:
        seconds = seconds + epoch.seconds if epoch.elapsed_seconds is None else epoch.elapsed_seconds
        if not reached or epoch.validation_score > reached[-1][key]:
            cost = {"cost": round(seconds / 3600 * price_per_hour, 6)} if price_per_hour else {}
            reached.append({key: epoch.validation_score, "seconds": round(seconds, 3), **cost})
    return reached
