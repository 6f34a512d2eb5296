"""Keeps what is costly to make, students and compiled trainers, for the next run of the same shape.

Tracing a network for training takes longer than ten epochs over a hundred images. Runs that differ in seed, data, rate or
length share the traced functions; what they compute is the same as without.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from tl_keras.builder import Student, TeacherChoice, build_student
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.freezing import FreezePlan
from tl_keras.training.cut import Cut, cut_student
from tl_keras.training.losses import make_loss
from tl_keras.training.optimizers import TransferAdam, VariableTreatment

# Neither biases nor the weights of normalisation decay (He et al. 2019, "Bag of tricks", section 3.1).
_NOT_DECAYED = ("bias", "gamma", "beta")


class Workshop:
    """Makes students, cuts and trainers, and hands the same ones out again."""

    def __init__(self) -> None:
        self._students: dict[tuple, Student] = {}
        self._teacher_values: dict[int, list[np.ndarray]] = {}
        self._cuts: dict[tuple, Cut] = {}
        self._trainers: dict[tuple, keras.Model] = {}

    def student(
        self, teacher: TeacherChoice, config: ModelConfig, *, num_classes: int, keep_teacher_values: bool
    ) -> Student:
        """Returns the student that `build_student` gives under the present random seed.

        Args:
          teacher: As for `build_student`.
          config: As for `build_student`.
          num_classes: As for `build_student`.
          keep_teacher_values: Whether a decay is going to pull towards them.
        """
        built = build_student(teacher, config, num_classes=num_classes)
        key = (teacher, dataclasses.astuple(config), num_classes)
        student = self._students.setdefault(key, built)
        if keep_teacher_values:
            values = [keras.ops.convert_to_numpy(weight) for weight in built.backbone.weights]
            self._teacher_values[id(student)] = values
        if student is not built:
            for variable, value in zip(student.model.variables, built.model.variables, strict=True):
                variable.assign(value)
        return student

    def cut(self, student: Student, plan: FreezePlan) -> Cut:
        """Returns `cut_student` of the two."""
        key = (id(student), plan)
        if key not in self._cuts:
            self._cuts[key] = cut_student(student, plan)
        return self._cuts[key]

    def trainer(
        self,
        student: Student,
        plan: FreezePlan,
        config: TrainingConfig,
        *,
        on_features: bool,
        class_weights: np.ndarray | None,
    ) -> keras.Model:
        """Returns a compiled model over the student's layers; call `begin` of its optimizer, a `TransferAdam`, before use.

        The student itself is never compiled: it is saved without optimizer and loss.

        Args:
          student: One of ours.
          plan: What trains; it is applied.
          config: Of the run.
          on_features: Whether it takes the activations at the plan's cut, and not images.
          class_weights: float32 (classes,), or None.
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
        key = (id(student), plan, on_features, recipe, weights_key)
        if key not in self._trainers:
            cut = self.cut(student, plan)
            model = _on_features(cut) if on_features else _on_images(cut, student)
            treatments = self._treatments(model.trainable_variables, student, plan, config)
            optimizer = TransferAdam(treatments, ema_momentum=config.ema_momentum)
            # Before the first step: variables made while tracing would have Keras trace twice.
            optimizer.build(model.trainable_variables)
            model.compile(
                optimizer=optimizer,
                loss=make_loss(label_smoothing=config.label_smoothing, class_weights=class_weights),
                metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            )
            self._trainers[key] = model
        return self._trainers[key]

    def _treatments(
        self, variables: list[keras.Variable], student: Student, plan: FreezePlan, config: TrainingConfig
    ) -> list[VariableTreatment]:
        from_output = plan.blocks_from_output(student.backbone)
        values = self._teacher_values.get(id(student), [])
        teacher_values = {id(weight): value for weight, value in zip(student.backbone.weights, values, strict=False)}
        return [
            VariableTreatment(
                rate_factor=config.layer_decay ** (from_output.get(id(variable), -1) + 1),
                decay=config.teacher_decay
                if config.teacher_decay and id(variable) in from_output
                else config.weight_decay * (variable.name not in _NOT_DECAYED),
                decay_towards=teacher_values.get(id(variable)) if config.teacher_decay else None,
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


def _on_features(cut: Cut) -> keras.Model:
    return keras.Model(cut.trained.inputs, cut.trained.outputs)


def _on_images(cut: Cut, student: Student) -> keras.Model:
    if cut.frozen is None:
        return _on_features(cut)
    images = keras.Input(student.model.input_shape[1:])
    return keras.Model(images, cut.trained(_FrozenLayers(cut.frozen)(images)))
