"""Lets a student learn from the answers of a finished run beside the labels.

Each row of targets that the loss takes is that of the labels, the logits of the teacher run for the same view of the image, the
weights of both, and whether the image has a label. Without one, the weight of the labels is 0; of images that are measured, that of
the teacher run is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.weights import fingerprint
from tl_keras.config import DistillationConfig, TransferConfig, from_json
from tl_keras.config.choices import label_kind_of
from tl_keras.console import number_of, say
from tl_keras.data.base import RandomAccessSource, Source
from tl_keras.data.inspection import Inspection, Reading
from tl_keras.data.joined import with_unlabelled
from tl_keras.data.mixtures import number_of_mixtures, write_mixtures
from tl_keras.data.options import SourceOptions
from tl_keras.data.order import on_host
from tl_keras.data.pipeline import TargetFn
from tl_keras.data.source_names import check_source
from tl_keras.data.splits import Splits, hash_starts
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import ConfigError, DataError, naming
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.tasks.base import LossFn, Task
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.training.features import ViewsOfImages, feature_store_of
from tl_keras.training.run_images import RunImages
from tl_keras.training.split_student import whole_model
from tl_keras.user_folders import cache_folder


@dataclasses.dataclass(frozen=True)
class TeacherRun:
    """A finished run whose answers are learnt.

    Attributes:
      path: Its directory.
      trained: Its model.
      weights: Fingerprint of the model's weights.
      columns: Position among its logits of each logit of the student, int64 (outputs,).
    """

    path: pathlib.Path
    trained: TrainedModel
    weights: str
    columns: np.ndarray

    def identity(self, unlabelled: Iterable[str]) -> str:
        """Returns a hash of its weights and of the contents of images without labels, given by their hashes."""
        return hashlib.sha256(json.dumps([self.weights, sorted(unlabelled)]).encode()).hexdigest()

    def logits(self, config: TransferConfig, images: ViewsOfImages, task: Task) -> np.ndarray:
        """Returns its calibrated logits, float32 (views, images of the source, outputs); 0 for images that are not trained on.

        Args:
          config: Config of the student's run.
          images: Images that the student trains on, in its views, as this run's model takes them.
          task: Task of the student.
        """
        model, rows = self.trained.model, np.zeros((images.views, len(images.source), len(self.columns)), np.float32)
        store = feature_store_of(config, f"run of {model.name}", self.trained.preprocess, images, once=True)
        if found := store.at(None, whole_model(model)):
            for view, indices in enumerate(images.wanted()):
                rows[view, indices] = self._taught(found.reader(found.rows[view, indices])[0], task)
            return rows
        for view, indices in enumerate(images.wanted()):
            for batch, tensors in images.batches(view, indices):
                rows[view, batch.numpy()] = self._taught(model.predict_on_batch(tensors), task)
        return rows

    def _taught(self, logits: np.ndarray, task: Task) -> np.ndarray:
        calibrated = logits / self.trained.statistics.temperature
        return task.converted(calibrated, self.trained.task)[:, self.columns]


def require_finished(teacher_run: str) -> None:
    """Checks that a directory holds a finished run to learn from, before anything is read; an empty name is none to learn from.

    Args:
      teacher_run: The directory.

    Raises:
      ConfigError: It holds none.
    """
    if teacher_run and not (run := RunDirectory(teacher_run)).model.exists():
        found = "whose run has not ended" if run.read_config() else "where no run has begun"
        raise ConfigError(
            f"teacher_run: expected the directory of a finished run. Received: {teacher_run}, {found}. Train it to its end first."
        )


def require_what_teaches(distillation: DistillationConfig) -> None:
    """Checks that what is learnt from beside the labels is there, before anything is read.

    Raises:
      ConfigError: The teacher run has not ended.
      DataError: There is no such source of images without labels.
    """
    require_finished(distillation.teacher_run)
    if distillation.unlabelled:
        with naming("unlabelled"):
            check_source(distillation.unlabelled)


def open_teacher_run(path: str, source: Source, inspection: Inspection, splits: Splits, *, task: Task) -> TeacherRun:
    """Opens a finished run to learn from.

    Args:
      path: Its directory.
      source: Images of the student's run.
      inspection: Their inspection.
      splits: Their splits.
      task: Task of the student.

    Raises:
      BackboneError: It has no model that can be read.
      ConfigError: Its task, its classes or its inputs are others.
      DataError: It has been trained on images by which the student is measured.
    """
    run = RunDirectory(path)
    trained = load_model(run.model)
    noun = "text" if trained.preprocess.served_name == "text" else "image"
    outputs = task.outputs(source.class_names)
    ordered = sorted if outputs == len(source.class_names) else list  # steps of an order are no classes
    ours = (task.name, source.noun, ", ".join(ordered(source.class_names)))
    theirs = (trained.task.name, noun, ", ".join(ordered(trained.class_names)))
    for what, here, there in zip(("task", "input", "classes"), ours, theirs, strict=True):
        if here != there:
            raise ConfigError(
                f"teacher_run: expected a run of the same {what}, {here[:200]}. Received: {path}, of {there[:200]}. "
                "Train it on the same data."
            )
    # A run on few images has trained on validation images in the end; here they choose the epoch, and where there are test images,
    # nothing that is reported.
    measured = splits.test if len(splits.test) else splits.validation
    seen = set((run.read_splits() or {}).get("train_sha256", ())) & set(hash_starts(inspection, measured))
    if seen:
        raise DataError(
            f"teacher_run: expected a run that has not seen what is measured. Received: {path}, which was trained on "
            f"{len(seen)} of {number_of(len(measured), 'image')} held out here. Use its --seed and its splits, as "
            "python -m tl_keras.distill does, and a run without --folds."
        )
    columns = np.array([trained.class_names.index(name) for name in source.class_names[:outputs]])
    return TeacherRun(run.path, trained, fingerprint(trained.model), columns)


def with_taught_images(config: TransferConfig, images: RunImages) -> RunImages:
    """Returns the images of a run with those that have no label, and for which a teacher run answers, if there are any.

    Args:
      config: Config from `tl_keras.training.preparation.decide`.
      images: The labelled images.

    Raises:
      DataError: The images without labels cannot be read.
      WorkdirError: The cache cannot be written.
    """
    named, cache = config.distillation.unlabelled, cache_folder(config.cache.folder)
    folder = named or _mixtures(config, images, cache)
    if not folder:
        return images
    with naming("unlabelled" if named else "mixtures"):
        unlabelled = open_unlabelled(folder, SourceOptions.of(config))
    joined = with_unlabelled(
        images.source,
        images.inspection,
        unlabelled,
        Reading.of(config),
        remembered_in=cache,
        described="" if named else "made of two training images each, for which the teacher run answers",
    )
    return RunImages(joined.source, joined.inspection, images.splits, joined.unlabelled)


def _mixtures(config: TransferConfig, images: RunImages, cache: pathlib.Path) -> pathlib.Path | None:
    """Returns the folder with mixtures of the training images, or None if none are wanted."""
    distillation, train = config.distillation, images.splits.train
    begun = RunDirectory(distillation.teacher_run).read_config() if distillation.teacher_run else None
    wanted = distillation.mixtures == "on" and label_kind_of(config.task) == "class" and images.source.noun == "image"
    if begun is None or not wanted or not number_of_mixtures(len(train)):
        return None
    if not isinstance(images.source, RandomAccessSource):
        say("distillation: no mixtures of two images are made of records, which are read in their order")
        return None
    return write_mixtures(
        images.source,
        images.inspection,
        train,
        Reading.of(config),
        side=max(config.model.image_size, from_json(begun["config"]).model.image_size),
        min_area=config.data.min_crop_area or 1.0,
        seed=config.seed,
        cache=cache,
    )


@dataclasses.dataclass(frozen=True)
class DistilledTask:
    """A task whose loss is that of the labels and that of the teacher run; `distilled_targets` makes the rows that it takes.

    Attributes:
      task: Task of the labels.
      temperature: Temperature that softens the answers of both.
    """

    task: Task
    temperature: float

    def loss_of(self, recipe: LossRecipe) -> LossFn:
        """Returns a function from (rows, logits) to losses, float32 (batch,); see `Task.loss_of`."""
        of_labels = self.task.loss_of(recipe)

        def loss(rows: Any, logits: Any) -> Any:
            outputs = logits.shape[-1]
            labels, taught, weights = rows[:, :outputs], rows[:, outputs:-3], rows[:, -3:-1]
            imitation = self.task.imitation(taught, logits, temperature=self.temperature)
            return weights[:, 0] * of_labels(labels, logits) + weights[:, 1] * imitation

        return loss

    def metric(self) -> keras.metrics.Metric:
        """Returns the metric of the labels; see `Task.metric`."""
        return _OfLabels(self.task.metric())


class _OfLabels(keras.metrics.Metric):
    """A metric that sees the labels of the rows alone, and leaves out rows without one."""

    def __init__(self, metric: keras.metrics.Metric):
        super().__init__(name=metric.name)
        self._metric = metric

    def update_state(self, rows: Any, logits: Any, sample_weight: Any = None) -> None:
        labelled = rows[:, -1]
        weights = labelled if sample_weight is None else labelled * keras.ops.cast(sample_weight, labelled.dtype)
        self._metric.update_state(rows[:, : logits.shape[-1]], logits, sample_weight=weights)

    def result(self) -> Any:
        return self._metric.result()

    def reset_state(self) -> None:
        self._metric.reset_state()


def distilled_targets(
    of_labels: TargetFn, logits: np.ndarray, unlabelled: np.ndarray, *, weight: float
) -> tuple[TargetFn, TargetFn]:
    """Returns the rows of images that are trained on, and of those that are measured, as `DistilledTask` takes them.

    Args:
      of_labels: Targets of the labels.
      logits: Logits of the teacher run, float32 (views, images, outputs); with one view, that is learnt for all views.
      unlabelled: Images without a label, int64 (k,).
      weight: Part of the loss that is the teacher run's, above 0 up to 1.
    """
    labelled = np.ones(logits.shape[1], np.float32)
    labelled[unlabelled] = 0
    weights = on_host(np.stack([(1 - weight) * labelled, np.full_like(labelled, weight), labelled], axis=1))
    taught = on_host(logits)

    def trained(indices: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
        answers = tf.gather(taught[view % len(logits)], indices)
        return tf.concat([of_labels(indices, view), answers, tf.gather(weights, indices)], axis=-1)

    def measured(indices: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
        labels = of_labels(indices, view)
        alone = tf.broadcast_to(tf.constant([1.0, 0.0, 1.0]), tf.concat([tf.shape(indices), [3]], axis=0))
        return tf.concat([labels, tf.zeros_like(labels), alone], axis=-1)

    return trained, measured
