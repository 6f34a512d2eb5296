"""The end of training: from a student to files that serve."""

from __future__ import annotations

from typing import Any

from tl_keras.builder import Student
from tl_keras.data.base import Source
from tl_keras.data.splits import Splits
from tl_keras.serving.export import export_finished
from tl_keras.serving.model_file import save_model
from tl_keras.serving.profile import Answers, profile_student
from tl_keras.serving.proof import proof_of
from tl_keras.training.run_directory import RunDirectory


def hand_over(
    student: Student,
    run: RunDirectory,
    source: Source,
    splits: Splits,
    *,
    formats: tuple[str, ...],
    answers: Answers,
) -> dict[str, Any]:
    """Writes `model.keras`, `proof.npz`, which every export has to meet, and the exports.

    Args:
      student: With its final weights.
      run: Begun.
      source: The images that the student was trained on.
      splits: Of the source.
      formats: See `export_run`.
      answers: What the student gives for images of the source.

    Returns:
      For `result.json`: `calibration` and `export`.

    Raises:
      ExportError: An exported model does not agree with the student.
      WorkdirError: The disk is full or the place cannot be written.
    """
    profile, validation, validation_logits = profile_student(answers, source, splits)
    save_model(student, run.model, class_names=source.class_names, profile=profile)
    proof_of(source, validation, validation_logits).save(run.proof)
    return {"calibration": profile.to_json(), "export": export_finished(run.path, formats, source=source)}
