"""Decides everything about a run before its first step of training: `prepare` returns a `PreparedRun`.

Nothing else opens a source, splits it or builds a student for a run. Code that trains, predicts or estimates takes a `PreparedRun`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.hugging_face import as_pinned, pinned
from tl_keras.backbones.specs import takes_texts
from tl_keras.builder import Student, choose_backbone
from tl_keras.config import TransferConfig, from_json, resolve, to_json, with_epochs
from tl_keras.data.inspection import Inspection, Reading
from tl_keras.data.sources import Source, SourceOptions
from tl_keras.data.splits import Splits, split_source
from tl_keras.data.table_source import noun_of
from tl_keras.distribution.distributor import Distributor, open_distributor
from tl_keras.distribution.hardware import Hardware, resolve_hardware
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.heads import zero_logits
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.identity import affects_result, run_identity
from tl_keras.serving.model_file import load_model
from tl_keras.tasks.base import Task, task_named
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.training.decided_by_images import decide_by_images
from tl_keras.training.distillation import DistilledTask, TeacherRun, open_teacher_run, with_taught_images
from tl_keras.training.image_remarks import image_remarks
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.own_parts import NO_PARTS, OwnParts
from tl_keras.training.phases import Phase, plan_phases, require_training
from tl_keras.training.published_weights import download_missing
from tl_keras.training.run_images import RunImages

__all__ = [
    "PreparedRun",
    "RunImages",
    "decide",
    "distributor_of",
    "prepare",
    "read_images",
    "views_per_image",
]


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """A run that is decided but not trained.

    Attributes:
      config: Resolved config, in which nothing is left open.
      images: Source, inspection and splits.
      student: Network to train; it has the teacher's weights and a new head.
      phases: Parts of the training, in their order.
      distributor: Distributor that creates variables and feeds batches to the replicas.
      models: Cache that the student comes from; trainers of the phases come from it too.
      remarks: Sentences on the images that a person should read.
      reasons: Sentences on what the images decided, where the config left it open.
      own_parts: Callbacks and augmentation of the program.
      head_left_open: Whether the user chose the epochs of the last phase, but not those of the head.
    """

    config: TransferConfig
    images: RunImages
    student: Student
    phases: tuple[Phase, ...]
    distributor: Distributor
    models: ModelCache
    remarks: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    own_parts: OwnParts = NO_PARTS
    head_left_open: bool = False

    @functools.cached_property
    def task(self) -> Task:
        """Returns what is learnt, with what the task must know of the training images."""
        task = task_named(self.config.task).with_decision(self.config.decision, self.source.class_names)
        return task.with_labels(self.source.labels[self.splits.train])

    @property
    def outputs(self) -> int:
        """Returns the number of logits."""
        return self.task.outputs(self.source.class_names)

    @property
    def source(self) -> Source:
        """Returns the source of the images."""
        return self.images.source

    @property
    def splits(self) -> Splits:
        """Returns the splits of the images."""
        return self.images.splits

    @property
    def hardware(self) -> Hardware:
        """Returns the hardware that was decided on."""
        return self.distributor.hardware

    @property
    def views_per_image(self) -> int:
        """Returns the number of views per training image that epochs show in turn; 0 for a new one in each epoch."""
        return views_per_image(self.config)

    @functools.cached_property
    def loss(self) -> LossRecipe:
        """Returns the recipe of the loss."""
        return LossRecipe.of(self.config.training, self.task, self.source.labels[self.splits.train], self.outputs)

    @functools.cached_property
    def sampling_weights(self) -> np.ndarray | None:
        """Returns how often an epoch draws each image of the source, float64 (n,); None for each once."""
        if self.config.training.sampling == "none":
            return None
        weights, train = np.ones(len(self.source)), self.splits.train  # an image without a label counts as the mean
        weights[train] = self.task.sampling_weights(self.source.labels[train], self.outputs)
        return weights

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """Returns the facts that a checkpoint of this run must agree with."""
        splits = self.splits.to_json(self.source)
        identity = run_identity(to_json(self.config), self.images.inspection.data_hash, splits)
        distilled = self.images.inspection.sha256[self.images.distilled].tolist()
        return identity | ({"teacher_run": self.teacher_run.identity(distilled)} if self.teacher_run else {})

    @functools.cached_property
    def teacher_run(self) -> TeacherRun | None:
        """Returns the finished run whose answers are learnt beside the labels, or None."""
        path, images = self.config.distillation.teacher_run, self.images
        return open_teacher_run(path, images.source, images.inspection, images.splits, task=self.task) if path else None

    @property
    def learnt(self) -> Task | DistilledTask:
        """Returns the task as phases train it: with the answers of the teacher run, if there is one."""
        return DistilledTask(self.task, self.config.distillation.temperature) if self.teacher_run else self.task

    def targets(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the targets of the loss for labels of the source, int64 (...), as float32 (..., outputs)."""
        return self.task.targets(labels, self.outputs)

    def on(self, images: RunImages, phases: tuple[Phase, ...]) -> PreparedRun:
        """Returns the run on other images of the source, with outputs that mean the same: numbers keep their unit."""
        run = dataclasses.replace(self, images=images, phases=phases)
        vars(run)["task"] = self.task
        return run

    @property
    def shares_head(self) -> bool:
        """Returns whether `head_recipe` decides the head; no recipe names what callbacks and augmentation of a program do."""
        return not (self.own_parts.callbacks or self.own_parts.augmentation)

    def head_recipe(self) -> str:
        """Returns everything that decides the head after the first of several phases, which excludes the later cut."""
        config, splits = to_json(self.config), self.identity["splits"]
        config["model"] |= {"unfreeze": "", "unfreeze_schedule": ""}
        return json.dumps(
            [config, self.images.inspection.data_hash, splits, self.phases[0].epochs, len(self.phases) > 1]
        )


def decide(config: TransferConfig, *, source: Source | None = None, run: RunDirectory | None = None) -> TransferConfig:
    """Returns the config completed as far as possible without reading an image.

    Args:
      config: The user's config.
      source: Images given instead of `config.data.source`, which gets their name; None if none were given.
      run: Directory of the run, whose decisions apply where the config leaves them open.

    Raises:
      BackboneError: The teacher is unknown, or does not allow this width or image size.
      ConfigError: A value is not valid.
      WorkdirError: Another run has begun in the directory.
    """
    if source is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, source=source.name))
    begun = run.read_config() if run else None
    config = _as_begun(config, from_json(begun["config"])) if begun else config
    config = resolve(for_its_inputs(config, source))
    teacher = choose_backbone(config.model)
    config.model.image_size, config.model.alpha = teacher.preprocess.image_size, teacher.alpha
    config.model.backbone = pinned(config.model.backbone)
    return config


def _as_begun(config: TransferConfig, begun: TransferConfig) -> TransferConfig:
    """Returns a config in which what is left open is as in the run that has begun, under whatever defaults."""
    config = from_json(to_json(config))
    if config.data.horizontal_flip == "auto":
        config.data.horizontal_flip = begun.data.horizontal_flip
    if config.data.quarter_turns == "auto":
        config.data.quarter_turns = begun.data.quarter_turns
    config.data.min_crop_area = config.data.min_crop_area or begun.data.min_crop_area
    model, known = config.model, begun.model
    model.resize = model.resize or known.resize
    if not (model.pooling or model.output_stride):
        model.pooling, model.output_stride = known.pooling, known.output_stride
    if config.model.method == begun.model.method == "fine_tune" and not config.model.unfreeze_schedule:
        config.model.unfreeze = config.model.unfreeze or begun.model.unfreeze
    training = config.training
    training.fine_tune_learning_rate_factor = (
        training.fine_tune_learning_rate_factor or begun.training.fine_tune_learning_rate_factor
    )
    training.refit = training.refit or begun.training.refit
    config.model.max_tokens = config.model.max_tokens or begun.model.max_tokens
    if takes_texts(begun.model.backbone):  # which have a rule of their own for the epochs
        training.epochs = training.epochs or begun.training.epochs
    config.model.backbone = as_pinned(config.model.backbone, begun.model.backbone)
    return config


def for_its_inputs(config: TransferConfig, source: Source | None = None) -> TransferConfig:
    """Returns the config with a teacher and options for texts if the source holds texts; otherwise unchanged.

    Args:
      config: The user's config.
      source: The source, if it is open; None to look at the one that the config names.

    Raises:
      BackboneError: The teacher takes no texts, or nothing but texts.
      ConfigError: An option makes sense for images alone.
    """
    noun = source.noun if source is not None else noun_of(config.data.source, SourceOptions.of(config))
    if noun == "text":
        from tl_keras.text.text_defaults import for_texts

        return for_texts(config)
    if takes_texts(config.model.backbone):
        raise BackboneError(
            f"backbone: expected a teacher of images for {config.data.source}. Received: {config.model.backbone}, which takes "
            "texts. Leave it out, or name the columns of a table of texts: --columns=text=COLUMN,label=COLUMN."
        )
    return config


def distributor_of(config: TransferConfig) -> Distributor:
    """Returns the distributor that a config requests; the same object for the same hardware.

    Call it before TensorFlow computes anything, because afterwards it cannot join other workers.

    Raises:
      ConfigError: The batch size cannot be divided among the replicas.
      DependencyError: The hardware is missing.
    """
    hardware = resolve_hardware(config.strategy, replicas=config.replicas, precision=config.precision)
    hardware.require_divisible(config.training.global_batch_size)
    return open_distributor(hardware)


def read_images(
    config: TransferConfig, models: ModelCache, *, source: Any = None, run: RunDirectory | None = None
) -> RunImages:
    """Reads and splits the images of a run.

    Args:
      config: Resolved config.
      models: Cache that keeps the inspection for the next run on the same images.
      source: Anything that `open_source` takes. None means the source in the config.
      run: Directory of the run, whose splits stay.

    Raises:
      DataError: The images cannot be read or split.
      WorkdirError: The run has begun with other images.
    """
    source, inspection = models.images(
        config.data.source if source is None else source, SourceOptions.of(config), Reading.of(config)
    )
    begun = run is not None and run.check_same_images(inspection.data_hash)
    known = run.read_splits() if run and begun else None  # made by the rule of the version that began the run
    splits = Splits.from_json(known, source) if known else _make_splits(config, source, inspection)
    return with_taught_images(config, RunImages(source, inspection, splits))


def prepare(
    config: TransferConfig,
    models: ModelCache,
    *,
    source: Any = None,
    run: RunDirectory | None = None,
    images: RunImages | None = None,
    distributor: Distributor | None = None,
    own_parts: OwnParts = NO_PARTS,
) -> PreparedRun:
    """Decides everything about a run: hardware, images and their splits, student and phases; writes nothing.

    Args:
      config: Config from `decide`.
      models: Cache that keeps images, students and trainers for the next run of the same shape.
      source: Anything that `open_source` takes. None means the source in the config.
      run: Directory of the run, whose splits stay.
      images: Images from `read_images`, if they were read before.
      distributor: Distributor from `distributor_of`, if that was called before.
      own_parts: Callbacks and augmentation of the program.

    Raises:
      TransferError: An error of one of its classes, whose message is one line with what was expected, received, and the remedy.

    Example:
      ```python
      import tl_keras
      from tl_keras.training.announcement import announcement
      from tl_keras.training.model_cache import ModelCache
      from tl_keras.training.preparation import decide, prepare

      config = tl_keras.TransferConfig(data=tl_keras.DataConfig(source="photos/"))
      config.model.backbone, config.model.unfreeze = "teacher.keras", "blocks:1"
      prepared = prepare(decide(config), ModelCache())
      print(announcement(prepared))
      ```
    """
    own_parts.check(config.data.augmentation)
    distributor = distributor or distributor_of(config)
    download_missing(config.model)
    images = images or read_images(config, models, source=source, run=run)
    keras.utils.set_random_seed(config.seed)
    head_left_open = bool(config.training.epochs) and not config.training.head_epochs
    remarks = list(images.source.notes)
    if images.source.noun == "text":
        from tl_keras.text.text_defaults import fitted_to_texts

        config, remark = fitted_to_texts(config, images.source, images.splits.train)
        remarks.append(remark)
    config = dataclasses.replace(with_epochs(config, images=len(images.trained)), **distributor.hardware.chosen)
    config, reasons = decide_by_images(config, images, models)
    teacher = choose_backbone(config.model)
    remarks += image_remarks(images, teacher.preprocess)
    _require_same_work(distributor, config, images.inspection, run)
    task = task_named(config.task).with_decision(config.decision, images.source.class_names)  # refused before training
    outputs = task.outputs(images.source.class_names)
    keras.utils.set_random_seed(config.seed)  # again, because networks that decide by the images have drawn numbers
    student = models.student(teacher, config.model, num_classes=outputs, seed=config.seed, distributor=distributor)
    if task.starts_from_zero:
        zero_logits(student.head)
    if config.model.start_from:
        earlier = load_model(pathlib.Path(config.model.start_from))
        names = images.source.class_names
        student.start_from(earlier.model, class_names=names, earlier_names=earlier.class_names)
    phases = plan_phases(config, student, images=len(images.trained))
    require_training(phases, student)
    return PreparedRun(
        config,
        images,
        student,
        phases,
        distributor,
        models,
        tuple(remarks),
        tuple(reasons),
        own_parts,
        head_left_open=head_left_open,
    )


def views_per_image(config: TransferConfig) -> int:
    """Returns the number of views of each training image that epochs show in turn; 0 for a new one in each epoch."""
    if config.data.augmentation == "none":
        return 1
    return 0 if config.model.method == "replicate" else 1 + config.data.augmented_views


def _make_splits(config: TransferConfig, source: Source, inspection: Inspection) -> Splits:
    return split_source(
        source,
        inspection,
        validation_fraction=config.data.validation_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.seed,
        train_examples_per_class=config.data.train_examples_per_class,
    )


def _require_same_work(
    distributor: Distributor, config: TransferConfig, inspection: Inspection, run: RunDirectory | None
) -> None:
    """Raises a ConfigError unless every process has the same options, images and checkpoint, since all take the same steps."""
    if distributor.hardware.processes == 1:
        return
    options = affects_result(to_json(config))  # each machine may keep features elsewhere
    checkpoint = run.checkpoint.read_bytes() if run and run.checkpoint.is_file() else b""
    work = hashlib.sha256(json.dumps([options, inspection.data_hash]).encode() + checkpoint).digest()
    if len(set(distributor.all_gather(int.from_bytes(work[:3], "big")))) > 1:
        raise ConfigError(
            "workers: expected the same options, images and --workdir, on a disk that all of them share, for each. Received: "
            "different ones. Start each with the same command."
        )
