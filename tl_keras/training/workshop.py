"""Keeps what is costly to make, students and compiled trainers, for the next run of the same shape.

Tracing a network for training takes longer than ten epochs over a hundred images. Runs that differ in seed or data only
share the traced functions; what they compute is the same as without.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from tl_keras.builder import Student, TeacherChoice, build_student
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.training.losses import make_loss
from tl_keras.training.optimizers import make_optimizer
from tl_keras.training.phases import Phase


class Workshop:
    """Makes students and trainers, and hands the same ones out again with fresh values."""

    def __init__(self) -> None:
        self._students: dict[tuple, Student] = {}
        self._trainers: dict[tuple, tuple[keras.Model, list[np.ndarray]]] = {}

    def student(self, teacher: TeacherChoice, config: ModelConfig, *, num_classes: int) -> Student:
        """Returns the student that `build_student` gives under the present random seed."""
        built = build_student(teacher, config, num_classes=num_classes)
        key = (teacher, dataclasses.astuple(config), num_classes)
        student = self._students.setdefault(key, built)
        if student is not built:
            for variable, value in zip(student.model.variables, built.model.variables, strict=True):
                variable.assign(value)
        return student

    def trainer(
        self, student: Student, phase: Phase, config: TrainingConfig, *, steps: int, class_weights: np.ndarray | None
    ) -> keras.Model:
        """Returns a compiled model over the student's layers, with an optimizer that has not taken a step.

        The student itself is never compiled: it is saved without optimizer and loss.

        Args:
          student: One of ours.
          phase: What trains; `phase.plan` is applied.
          config: Of the run.
          steps: Of the whole phase, for the schedule.
          class_weights: float32 (classes,), or None.
        """
        phase.plan.apply(student.backbone)
        weights_key = None if class_weights is None else class_weights.tobytes()
        key = (id(student), phase, dataclasses.astuple(config), steps, weights_key)
        if key not in self._trainers:
            trainer = _compiled(student, phase, config, steps=steps, class_weights=class_weights)
            initial = [keras.ops.convert_to_numpy(variable) for variable in trainer.optimizer.variables]
            self._trainers[key] = trainer, initial
            return trainer
        trainer, initial = self._trainers[key]
        for variable, value in zip(trainer.optimizer.variables, initial, strict=True):
            variable.assign(value)
        return trainer


def _compiled(
    student: Student, phase: Phase, config: TrainingConfig, *, steps: int, class_weights: np.ndarray | None
) -> keras.Model:
    optimizer = make_optimizer(
        learning_rate=phase.learning_rate,
        steps=steps,
        warmup_fraction=config.warmup_fraction,
        weight_decay=config.weight_decay,
    )
    # Before the first step: variables made while tracing would have Keras trace twice.
    optimizer.build(student.model.trainable_variables)
    trainer = keras.Model(student.model.inputs, student.model.outputs)
    trainer.compile(
        optimizer=optimizer,
        loss=make_loss(label_smoothing=config.label_smoothing, class_weights=class_weights),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return trainer
