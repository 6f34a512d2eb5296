"""Ends training: turns a student into the files that every export is made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tl_keras.builder import Student
from tl_keras.data.base import Source
from tl_keras.data.splits import Splits
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import save_model
from tl_keras.serving.parity import make_parity_record
from tl_keras.serving.student_statistics import PredictFn, measure_student
from tl_keras.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class PackagedStudent:
    """The facts about a student that only its predictions of validation images tell.

    Attributes:
      calibration: Entry `calibration` of `result.json`.
      task: Task with what it decides by those predictions.
    """

    calibration: dict[str, Any]
    task: Task


def package_student(
    student: Student,
    run: RunDirectory,
    source: Source,
    splits: Splits,
    *,
    predict: PredictFn,
    task: Task,
    unseen_logits: Callable[[np.ndarray], np.ndarray] | None = None,
    unseen_images: np.ndarray | None = None,
) -> PackagedStudent:
    """Writes `model.keras`, and `proof.npz`, which every export must reproduce.

    Args:
      student: Student with its final weights.
      run: Run directory, already begun.
      source: Images that the student was trained on.
      splits: Splits of the source.
      predict: Function that returns the student's features and logits for images of the source.
      task: Task of the student.
      unseen_logits: Function for the logits that calibrate, as in `measure_student`.
      unseen_images: Images whose features stand for those of new ones, as there.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
    """
    statistics, task, validation, validation_logits = measure_student(
        predict, source, splits, task=task, unseen_logits=unseen_logits, unseen_images=unseen_images
    )
    save_model(student, run.model, class_names=source.class_names, statistics=statistics, task=task)
    make_parity_record(source, validation, validation_logits).save(run.proof)
    return PackagedStudent(statistics.to_json(), task)
