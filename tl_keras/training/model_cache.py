"""Keeps what is costly to make, inspections, students and compiled trainers, for the next run of the same shape.

Tracing a network for training takes longer than ten epochs over a hundred images. Runs that differ in seed, data, rate or
length share the traced functions; what they compute is the same as without.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import keras
import numpy as np

from tl_keras.builder import Student, TeacherChoice, build_student, plan_student
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.data.base import Source
from tl_keras.data.inspection import AS_USUAL, Inspection, Reading, inspect_source
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.distribution.hardware import Hardware
from tl_keras.freezing import FreezePlan
from tl_keras.heads import initialize_head
from tl_keras.runs.records import Progress
from tl_keras.training.checkpoints import values_of
from tl_keras.training.losses import MeanOverImages, make_loss
from tl_keras.training.optimizers import TransferAdam, VariableTreatment
from tl_keras.training.split_student import SplitStudent, split_student

# Neither biases nor the weights of normalisation decay (He et al. 2019, "Bag of tricks", section 3.1).
_NOT_DECAYED = ("bias", "gamma", "beta")


class ModelCache:
    """Makes students, cuts and trainers, inspects images, and hands the same ones out again."""

    def __init__(self) -> None:
        self._images: dict[tuple[Source | str, SourceOptions, Reading], tuple[Source, Inspection]] = {}
        self._students: dict[tuple, Student] = {}
        self._cuts: dict[tuple, SplitStudent] = {}
        self._trainers: dict[tuple, keras.Model] = {}
        # Of each student's model, by `id`: the variables that runs change, and the values that they had before.
        self._before: dict[int, list[tuple[keras.Variable, np.ndarray]]] = {}
        self._heads: dict[tuple, tuple[Progress, list[np.ndarray]]] = {}

    def images(self, source: Any, options: SourceOptions, reading: Reading = AS_USUAL) -> tuple[Source, Inspection]:
        """Returns a source, opened by `open_source`, and what the inspection saw in it.

        Raises:
          DataError: It cannot be read.
        """
        opened = None if isinstance(source, str) else open_source(source, options)
        key = (source if opened is None else opened, options, reading)
        if key not in self._images:
            opened = open_source(source, options) if opened is None else opened
            inspection = inspect_source(opened, reading, show_progress=True)
            self._images[key] = (inspection.known(opened), inspection)
        return self._images[key]

    def remember_images(
        self, source: Source, inspection: Inspection, options: SourceOptions, reading: Reading = AS_USUAL
    ) -> None:
        """Keeps what an inspection has seen in a source, or in more than that source uses: it is not inspected again."""
        self._images[source, options, reading] = (source, inspection)

    def student(self, teacher: TeacherChoice, config: ModelConfig, *, num_classes: int, seed: int) -> Student:
        """Returns what `build_student` gives; students that differ in seed and freeze plan only are the same network."""
        replicate = config.method == "replicate"
        key = (teacher, replicate, config.head, config.head_units, config.dropout, num_classes)
        student = self._students.get(key)
        if student is None or replicate:  # whose weights are drawn anew for each seed
            built = build_student(teacher, config, num_classes=num_classes, seed=seed)
            student = self._students.setdefault(key, built)
            before = (
                list(zip(student.model.variables, values_of(built.model.variables), strict=True)) if replicate else []
            )
        else:
            before = self._before.get(id(student.model), [])
        for variable, value in before:
            variable.assign(value)
        initialize_head(student.head, seed=seed)
        return dataclasses.replace(student, plan=plan_student(teacher, student.backbone, config))

    def remember(self, student: Student, variables: list[keras.Variable]) -> None:
        """Keeps the teacher's values of the variables that a run is going to change."""
        known = self._before.setdefault(id(student.model), [])
        seen = {id(variable) for variable, _ in known}
        known += [
            (variable, value)
            for variable, value in zip(variables, values_of(variables), strict=True)
            if id(variable) not in seen
        ]

    def remember_head(self, student: Student, recipe: str, progress: Progress) -> None:
        """Keeps a head that has been trained on the frozen teacher, and how that went; `recipe` decides all of it."""
        values = values_of(self._variables_of_head(student))
        self._heads[id(student.model), recipe] = (copy.deepcopy(progress), values)

    def take_head(self, student: Student, recipe: str) -> Progress | None:
        """Gives a student the head that another run has trained by the same recipe, and returns how that went, if any has."""
        if (id(student.model), recipe) not in self._heads:
            return None
        progress, values = self._heads[id(student.model), recipe]
        for variable, value in zip(self._variables_of_head(student), values, strict=True):
            variable.assign(value)
        return copy.deepcopy(progress)

    def _variables_of_head(self, student: Student) -> list[keras.Variable]:
        return self.cut(student, student.plan.frozen()).trained.variables

    def cut(self, student: Student, plan: FreezePlan) -> SplitStudent:
        """Returns `split_student` of the two."""
        key = (id(student.model), plan)
        if key not in self._cuts:
            self._cuts[key] = split_student(student, plan)
        return self._cuts[key]

    def cuts(self, student: Student) -> list[SplitStudent]:
        """Returns the cuts through a student that were made so far."""
        return [cut for (model, _), cut in self._cuts.items() if model == id(student.model)]

    def trainer(
        self,
        student: Student,
        plan: FreezePlan,
        config: TrainingConfig,
        *,
        on_features: bool,
        class_weights: np.ndarray | None,
        hardware: Hardware,
    ) -> keras.Model:
        """Returns a compiled model over the student's layers; call `begin` of its optimizer, a `TransferAdam`, before use.

        The student itself is never compiled: it is saved without optimizer and loss.

        Args:
          student: One of ours, of which `remember` knows what the run changes.
          plan: What trains; it is applied.
          config: Of the run.
          on_features: Whether it takes the activations at the plan's cut, and not images.
          class_weights: float32 (classes,), or None.
          hardware: How the step is compiled. Trace it within `computing_in` its precision.
        """
        plan.apply(student.backbone)
        weights_key = None if class_weights is None else class_weights.tobytes()
        recipe = (
            config.weight_decay,
            config.teacher_decay,
            config.layer_decay,
            config.ema_momentum,
            config.label_smoothing,
        )
        key = (id(student.model), plan, on_features, recipe, weights_key, hardware.precision)
        if key not in self._trainers:
            cut = self.cut(student, plan)
            model = _on_features(cut) if on_features else _on_images(cut, student)
            treatments = self._treatments(model.trainable_variables, student, plan, config)
            optimizer = TransferAdam(treatments, ema_momentum=config.ema_momentum)
            # Before the first step: variables made while tracing would have Keras trace twice.
            optimizer.build(model.trainable_variables)
            loss = make_loss(label_smoothing=config.label_smoothing, class_weights=class_weights)
            model.compile(
                optimizer=optimizer,
                loss=MeanOverImages(loss),
                weighted_metrics=[
                    # In place of Keras's own, which has no weights: it would count images that stand in for a remainder.
                    keras.metrics.MeanMetricWrapper(loss, name="loss"),
                    keras.metrics.CategoricalAccuracy(name="accuracy"),
                ],
                jit_compile={"auto": "auto", "on": True, "off": False}[hardware.jit_compile],
                steps_per_execution=hardware.steps_per_execution,
            )
            self._trainers[key] = model
        return self._trainers[key]

    def _treatments(
        self, variables: list[keras.Variable], student: Student, plan: FreezePlan, config: TrainingConfig
    ) -> list[VariableTreatment]:
        from_output = plan.blocks_from_output(student.backbone)
        before = {id(variable): value for variable, value in self._before.get(id(student.model), [])}
        return [
            VariableTreatment(
                rate_factor=config.layer_decay ** (from_output.get(id(variable), -1) + 1),
                decay=config.teacher_decay
                if config.teacher_decay and id(variable) in from_output
                else config.weight_decay * (variable.name not in _NOT_DECAYED),
                decay_towards=before[id(variable)] if config.teacher_decay and id(variable) in from_output else None,
            )
            for variable in variables
        ]


class _FrozenLayers(keras.layers.Layer):
    """The frozen part of a student: as in evaluation also while the rest trains, dropout and stochastic depth included."""

    def __init__(self, layers: keras.Model):
        super().__init__()
        self._layers_inside = layers

    def call(self, images):
        return self._layers_inside(images, training=False)

    def compute_output_spec(self, images):
        return self._layers_inside.compute_output_spec(images, training=False)


def _on_features(cut: SplitStudent) -> keras.Model:
    return keras.Model(cut.trained.inputs, cut.trained.outputs)


def _on_images(cut: SplitStudent, student: Student) -> keras.Model:
    if cut.frozen is None:
        return _on_features(cut)
    images = keras.Input(student.model.input_shape[1:])
    return keras.Model(images, cut.trained(_FrozenLayers(cut.frozen)(images)))
