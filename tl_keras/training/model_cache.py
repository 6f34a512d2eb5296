"""Keeps inspections, students and compiled trainers, which are costly to make, for the next run of the same shape.

Tracing a network for training takes longer than ten epochs over a hundred images. Runs that differ in seed, data, rate or
length share the traced functions, and compute the same as without.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pathlib
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import keras
import numpy as np

from tl_keras.builder import Student, TeacherChoice, build_student, plan_student
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.data.base import Source
from tl_keras.data.inspection import AS_USUAL, Inspection, Reading, inspect_source
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.distribution.distributor import Distributor
from tl_keras.distribution.hardware import Hardware
from tl_keras.freezing import FreezePlan
from tl_keras.lora import initialize_lora
from tl_keras.runs.records import Progress
from tl_keras.serving.student_statistics import with_features
from tl_keras.tasks.base import LossFn, Task
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.training.checkpoints import values_of
from tl_keras.training.distillation import DistilledTask
from tl_keras.training.losses import MeanOverStep
from tl_keras.training.optimizers import TransferAdam, VariableTreatment, named_optimizer
from tl_keras.training.split_student import SplitStudent, split_student
from tl_keras.user_folders import cache_folder

Result = TypeVar("Result")

# Neither biases nor the weights of normalisation decay (He et al. 2019, "Bag of tricks", section 3.1).
_NOT_DECAYED = ("bias", "gamma", "beta")

_PLAIN_LOSS = LossRecipe()


@dataclasses.dataclass
class _Network:
    """A network, and everything that was made of it.

    Attributes:
      student: The network, whose freeze plan is that of the first run.
      teacher_values: Values before any run, by the `id` of a variable, which is held beside its value.
      splits: The network in two parts, by freeze plan.
      trainers: Compiled models, by everything that decides how a step is compiled.
      heads: Trained heads and their progress, by the recipe that decides both.
      predicting: The network with pooled features and logits as outputs, which Keras traces once; None before it is needed.
    """

    student: Student
    teacher_values: dict[int, tuple[keras.Variable, np.ndarray]] = dataclasses.field(default_factory=dict)
    splits: dict[FreezePlan, SplitStudent] = dataclasses.field(default_factory=dict)
    trainers: dict[tuple[Any, ...], keras.Model] = dataclasses.field(default_factory=dict)
    heads: dict[str, tuple[Progress, list[np.ndarray]]] = dataclasses.field(default_factory=dict)
    predicting: keras.Model | None = None

    def keep_teacher_values(self, variables: Iterable[keras.Variable]) -> None:
        """Keeps the present values of variables that are not known yet, which no run has changed."""
        new = [variable for variable in variables if id(variable) not in self.teacher_values]
        for variable, value in zip(new, values_of(new), strict=True):
            self.teacher_values[id(variable)] = (variable, value)

    def restore_teacher_values(self) -> None:
        """Sets every variable that a run may have changed to its earlier value."""
        for variable, value in self.teacher_values.values():
            variable.assign(value)


class ModelCache:
    """Makes students and trainers and inspects images once, and returns the same ones again.

    A student comes with the teacher's weights and a new head, whatever the run before has made of the same network. Give
    one cache to runs that follow each other, never to runs at the same time.

    Example:
      ```python
      import tl_keras
      from tl_keras.training.model_cache import ModelCache

      models = ModelCache()
      for seed in range(2):
          config = tl_keras.TransferConfig(seed=seed, export="none")
          config.data.source = "photos/"
          config.model.backbone, config.model.method = "teacher.keras", "feature_extraction"
          config.training.epochs = 2
          tl_keras.train_and_evaluate(config, f"seed_{seed}", models=models)
      ```
    """

    def __init__(self) -> None:
        self._images: dict[tuple[Source | str, SourceOptions, Reading], tuple[Source, Inspection]] = {}
        self._networks: dict[tuple[Any, ...], _Network] = {}
        self._results: dict[Hashable, Any] = {}

    def once(self, key: Hashable, function: Callable[[], Result]) -> Result:
        """Calls a function the first time that a key is given, and returns what it returned then."""
        if key not in self._results:
            self._results[key] = function()
        return self._results[key]

    def images(self, source: Any, options: SourceOptions, reading: Reading = AS_USUAL) -> tuple[Source, Inspection]:
        """Returns a source, opened by `open_source`, and its inspection.

        Args:
          source: Anything that `open_source` takes.
          options: How the source is read.
          reading: How its images are decoded.

        Raises:
          DataError: It cannot be read.
        """
        opened = None if isinstance(source, str) else open_source(source, options)
        key = (source if opened is None else opened, options, reading)
        if key not in self._images:
            opened = open_source(source, options) if opened is None else opened
            inspection = inspect_source(
                opened, reading, remembered_in=cache_folder(options.cache_folder), show_progress=True
            )
            self._images[key] = (inspection.known(opened), inspection)
        return self._images[key]

    def keep_images(
        self, source: Source, inspection: Inspection, options: SourceOptions, reading: Reading = AS_USUAL
    ) -> None:
        """Keeps an inspection of a source, or of more than that source uses, so that it is not inspected again."""
        self._images[source, options, reading] = (source, inspection)

    def student(
        self,
        teacher: TeacherChoice,
        config: ModelConfig,
        *,
        num_classes: int,
        seed: int,
        distributor: Distributor | None = None,
    ) -> Student:
        """Returns the result of `build_student`; students that differ only in seed and freeze plan share a network.

        Args:
          teacher: Pre-trained backbone.
          config: Method and head.
          num_classes: Number of outputs of the head.
          seed: Seed of the head's weights. The random backbone of `replicate` follows from Keras's global seed.
          distributor: Replicas that the variables are made for. None means this process's own device.
        """
        replicate = config.method == "replicate"
        head = (config.head, config.head_units, config.dropout, config.head_layers and (config.head_layers, seed))
        key = (teacher, replicate, head, config.lora_rank, config.start_from, num_classes, distributor)
        network = self._networks.get(key)
        if network is None:
            with distributor.scope() if distributor else contextlib.nullcontext():
                network = self._networks[key] = _Network(
                    build_student(teacher, config, num_classes=num_classes, seed=seed)
                )
        elif replicate:  # the seed decides every weight
            drawn = build_student(teacher, config, num_classes=num_classes, seed=seed).model
            for variable, value in zip(network.student.model.variables, values_of(drawn.variables), strict=True):
                variable.assign(value)
        else:
            network.restore_teacher_values()
        network.student.initialize_head(config, seed=seed)
        network.student.initialize_noise(seed=seed)
        initialize_lora(network.student.backbone, seed=seed)
        return dataclasses.replace(network.student, plan=plan_student(teacher, network.student.backbone, config))

    def trained_variables(self, student: Student, plans: Iterable[FreezePlan]) -> list[keras.Variable]:
        """Returns the variables that training by some plans may change; the teacher's values of them are kept.

        Args:
          student: Student of this cache.
          plans: Freeze plans, at least one.
        """
        deepest = min((self.split(student, plan) for plan in plans), key=lambda split: split.position)
        self._network(student).keep_teacher_values(deepest.trained.variables)
        return deepest.trained.variables

    def load_weights(self, student: Student, path: pathlib.Path, plans: Iterable[FreezePlan]) -> None:
        """Loads the weights of a file, trained by these plans, into a student; the next run begins with the teacher's."""
        self.trained_variables(student, plans)
        student.model.load_weights(path)

    def keep_head(self, student: Student, recipe: str, progress: Progress) -> None:
        """Keeps a head that was trained on the frozen teacher, with its progress; `recipe` decides all of it."""
        values = values_of(self.trained_variables(student, [student.plan.frozen()]))
        self._network(student).heads[recipe] = (copy.deepcopy(progress), values)

    def take_head(self, student: Student, recipe: str) -> Progress | None:
        """Sets a student's head to one trained by the same recipe, and returns its progress, or None if there is none."""
        heads = self._network(student).heads
        if recipe not in heads:
            return None
        progress, values = heads[recipe]
        variables = self.trained_variables(student, [student.plan.frozen()])
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return copy.deepcopy(progress)

    def split(self, student: Student, plan: FreezePlan) -> SplitStudent:
        """Returns `split_student(student, plan)`, made once."""
        splits = self._network(student).splits
        if plan not in splits:
            splits[plan] = split_student(student, plan)
        return splits[plan]

    def predicting(self, student: Student) -> keras.Model:
        """Returns `with_features` of a student, made once, so that the next run does not trace its predictions again."""
        network = self._network(student)
        if network.predicting is None:
            network.predicting = with_features(student.model)
        return network.predicting

    def splits(self, student: Student) -> list[SplitStudent]:
        """Returns the splits of a student made so far."""
        return list(self._network(student).splits.values())

    def trainer(
        self,
        student: Student,
        plan: FreezePlan,
        config: TrainingConfig,
        *,
        on_features: bool,
        task: Task | DistilledTask,
        distributor: Distributor,
        loss: LossRecipe = _PLAIN_LOSS,
        rate_factor: float = 1.0,
        images: int = 0,
    ) -> keras.Model:
        """Returns a compiled model over the student's layers; call `begin` of its optimizer, if it is a `TransferAdam`, before use.

        The student itself is never compiled: it is saved without optimizer and loss.

        Args:
          student: Student of this cache.
          plan: Layers to train; it is applied.
          config: Options of the run.
          on_features: Whether it takes the activations at the plan's cut, and not images.
          task: Task, which has the loss and the metric.
          distributor: Replicas that it is made for. Trace it within `computing_in` the precision of its hardware.
          loss: Recipe of the loss.
          rate_factor: Factor on the rate of an optimizer that the config names, for which a trainer is made at each call.
          images: Number of training images, which may be fewer than a step takes; 0 for more. Our own optimizer does not depend on
            the scale of the loss.
        """
        plan.apply(student.backbone)
        self.trained_variables(student, [plan])
        recipe = (
            config.weight_decay,
            config.teacher_decay,
            config.layer_decay,
            config.ema_momentum,
            config.global_batch_size,
        )
        key = (plan, on_features, recipe, loss, task, distributor)
        trainers = self._network(student).trainers
        if key not in trainers or config.optimizer:
            split = self.split(student, plan)
            with distributor.scope():
                model = _on_features(split) if on_features else _on_images(split, student)
                optimizer = named_optimizer(config.optimizer, rate_factor=rate_factor) or TransferAdam(
                    self._treatments(model.trainable_variables, student, plan, config), ema_momentum=config.ema_momentum
                )
                full = config.global_batch_size
                if config.optimizer and images:
                    full = min(full, images)
                mean = MeanOverStep(task.loss_of(loss), images=full)
                _compile(model, optimizer, mean, task.loss_of(loss), task.metric(), hardware=distributor.hardware)
            trainers[key] = model
        return trainers[key]

    def _network(self, student: Student) -> _Network:
        for network in self._networks.values():
            if network.student.model is student.model:
                return network
        raise ValueError(
            "student: expected one that `ModelCache.student` of this cache has returned. Received another."
        )

    def _treatments(
        self, variables: list[keras.Variable], student: Student, plan: FreezePlan, config: TrainingConfig
    ) -> list[VariableTreatment]:
        from_output = plan.blocks_from_output(student.backbone)
        before = self._network(student).teacher_values
        return [
            VariableTreatment(
                rate_factor=config.layer_decay ** (from_output.get(id(variable), -1) + 1),
                decay=config.teacher_decay
                if config.teacher_decay and id(variable) in from_output
                else config.weight_decay * (variable.name not in _NOT_DECAYED),
                decay_towards=before[id(variable)][1] if config.teacher_decay and id(variable) in from_output else None,
            )
            for variable in variables
        ]


def _compile(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    mean: MeanOverStep,
    loss: LossFn,
    metric: keras.metrics.Metric,
    *,
    hardware: Hardware,
) -> None:
    """Compiles a trainer with loss and metric of its task."""
    # Before the first step: variables made while tracing would have Keras trace twice.
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer=optimizer,
        loss=mean,
        weighted_metrics=[
            # Replaces Keras's own, which has no weights and would count images that stand in for a remainder.
            keras.metrics.MeanMetricWrapper(loss, name="loss"),
            metric,
        ],
        jit_compile={"auto": "auto", "on": True, "off": False}[hardware.jit_compile],
        steps_per_execution=hardware.steps_per_execution,
    )


class _FrozenLayers(keras.layers.Layer):
    """The frozen part of a student, which runs as in evaluation while the rest trains, dropout and stochastic depth included."""

    def __init__(self, layers: keras.Model):
        super().__init__()
        self._layers_inside = layers

    def call(self, images: Any) -> Any:
        return self._layers_inside(images, training=False)

    def compute_output_spec(self, images: Any) -> Any:
        return self._layers_inside.compute_output_spec(images, training=False)


def _on_features(split: SplitStudent) -> keras.Model:
    return keras.Model(split.trained.inputs, split.trained.outputs)


def _on_images(split: SplitStudent, student: Student) -> keras.Model:
    if split.frozen is None:
        return _on_features(split)
    images = keras.Input(student.model.input_shape[1:], dtype=student.preprocess.input_dtype)
    return keras.Model(images, split.trained(_FrozenLayers(split.frozen)(images)))
