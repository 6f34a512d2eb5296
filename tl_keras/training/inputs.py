"""Gives each phase its inputs: the images, or the activations of its frozen layers, read from the cache.

```
PhaseInputs
├── ImageInputs      every layer is computed at every step
└── FeatureInputs    the frozen layers were computed before
```
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.config import DataConfig
from tl_keras.config.defaults import MIN_CROP_AREAS
from tl_keras.console import number_of, say
from tl_keras.data.batch_shard import BatchShard
from tl_keras.data.decoded import held_decoded
from tl_keras.data.pipeline import TargetFn, evaluation_batches, labels_of, training_batches
from tl_keras.data.sources import Source
from tl_keras.freezing import FreezePlan
from tl_keras.serving.student_statistics import PredictFn, make_predict_fn
from tl_keras.training.distillation import distilled_targets
from tl_keras.training.features import Features, FeatureStore, ViewsOfImages, feature_store_of
from tl_keras.training.preparation import PreparedRun
from tl_keras.training.split_student import SplitStudent
from tl_keras.training.transforms import training_transform

# Bytes that a laptop does not notice.
_MEMORY_FOR_VALIDATION = 2**27


class PhaseInputs(abc.ABC):
    """Batches of one phase.

    Attributes:
      cached: Whether the batches hold activations of the frozen layers; otherwise images.
      source: Source of the images; some of them may be held in memory.
      forward_seconds: Seconds that an image took through the layers that a step computes, where that was measured.
    """

    cached: bool
    source: Source
    forward_seconds: float | None = None

    @abc.abstractmethod
    def training_batches(
        self, first_epoch: int, last_epoch: int, *, shard: BatchShard | None = None
    ) -> tf.data.Dataset:
        """Returns a dataset of (inputs, targets of the loss) over the epochs of the run from the first to before the last.

        Args:
          first_epoch: First epoch, from 0.
          last_epoch: Epoch after the last one.
          shard: Part of each batch that this process takes; None for all of it.
        """

    @abc.abstractmethod
    def evaluation_batches(self, indices: np.ndarray, *, shard: BatchShard | None = None) -> tf.data.Dataset:
        """Returns a dataset of (inputs, targets of the loss) over some images, each once, in `evaluation_order`.

        Args:
          indices: Images of the source, int64 (k,).
          shard: Part of each batch that this process takes; None for all of it.
        """

    @abc.abstractmethod
    def predict_fn(self) -> PredictFn:
        """Returns a function that predicts images with the weights that the student has when it is called."""

    @property
    @abc.abstractmethod
    def nbytes_per_image(self) -> int:
        """Returns the size of the inputs of one image in bytes."""


def validation_batches(inputs: PhaseInputs, prepared: PreparedRun, indices: np.ndarray) -> tf.data.Dataset:
    """Returns this process's shard of the validation images, kept in memory over the epochs if they take little.

    Args:
      inputs: Inputs of the phase.
      prepared: The run.
      indices: Validation images, int64 (k,).
    """
    batches = inputs.evaluation_batches(indices, shard=prepared.distributor.shard(training=False))
    return batches.cache() if len(indices) * inputs.nbytes_per_image <= _MEMORY_FOR_VALIDATION else batches


class ImageInputs(PhaseInputs):
    """Batches of images, as the student takes them.

    Args:
      prepared: The run.
      source: Source of the images; those that each epoch reads may be held decoded.
      targets: Targets of images that are trained on, and of those that are measured.
      views: Number of views per training image that epochs show in turn; 0 for a new one in each epoch.
    """

    cached = False

    def __init__(self, prepared: PreparedRun, source: Source, targets: tuple[TargetFn, TargetFn], *, views: int):
        self.source = source
        self._prepared = prepared
        self._views = views
        self._trained, self._measured = targets

    def training_batches(
        self, first_epoch: int, last_epoch: int, *, shard: BatchShard | None = None
    ) -> tf.data.Dataset:
        """Implements `PhaseInputs.training_batches`."""
        prepared = self._prepared
        config, student = prepared.config, prepared.student
        batches = training_batches(
            self.source,
            prepared.images.trained,
            transform=_training_transform(prepared, student.preprocess),
            targets=self._trained,
            global_batch_size=config.training.global_batch_size,
            seed=config.seed,
            first_epoch=first_epoch,
            last_epoch=last_epoch,
            views=self._views,
            plain=None if config.model.method == "replicate" else student.preprocess.evaluation_transform,
            mixup=config.data.mixup,
            cutmix=config.data.cutmix,
            weights=prepared.sampling_weights,
            shard=shard,
        )
        return self._without_padding(batches)

    def evaluation_batches(self, indices: np.ndarray, *, shard: BatchShard | None = None) -> tf.data.Dataset:
        """Implements `PhaseInputs.evaluation_batches`."""
        batches = evaluation_batches(
            self.source,
            indices,
            transform=self._prepared.student.preprocess.evaluation_transform,
            targets=self._measured,
            global_batch_size=self._prepared.config.training.global_batch_size,
            shard=shard,
        )
        return self._without_padding(batches)

    def _without_padding(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        preprocess = self._prepared.student.preprocess
        if None not in preprocess.network_shape or not self._prepared.hardware.takes_any_length:
            return batches
        return batches.map(lambda inputs, *rest: (preprocess.without_padding(inputs), *rest)).prefetch(1)

    def predict_fn(self) -> PredictFn:
        """Implements `PhaseInputs.predict_fn`."""
        prepared = self._prepared
        model = prepared.models.predicting(prepared.student)
        if prepared.hardware.processes > 1:  # `predict` would leave each process with a part of the predictions
            return _layer_by_layer(self, model)
        batch_size = prepared.config.training.global_batch_size
        return make_predict_fn(prepared.student, self.source, global_batch_size=batch_size, model=model)

    @property
    def nbytes_per_image(self) -> int:
        """Implements `PhaseInputs.nbytes_per_image`."""
        return 4 * math.prod(self._prepared.student.preprocess.input_shape)


class FeatureInputs(PhaseInputs):
    """Batches of cached activations, the input of the part of the student after the cut.

    Args:
      prepared: The run.
      features: Activations of all images of the run.
      split: The student in two parts, at the cut of the features.
      targets: Targets of images that are trained on, and of those that are measured.
    """

    cached = True

    def __init__(
        self, prepared: PreparedRun, features: Features, split: SplitStudent, targets: tuple[TargetFn, TargetFn]
    ):
        self.source = prepared.source
        self._prepared = prepared
        self._trained, self._measured = targets
        self._features = features
        self._split = split

    def training_batches(
        self, first_epoch: int, last_epoch: int, *, shard: BatchShard | None = None
    ) -> tf.data.Dataset:
        """Implements `PhaseInputs.training_batches`."""
        return self._features.training_batches(
            self._prepared.images.trained,
            targets=self._trained,
            global_batch_size=self._prepared.config.training.global_batch_size,
            seed=self._prepared.config.seed,
            first_epoch=first_epoch,
            last_epoch=last_epoch,
            weights=self._prepared.sampling_weights,
            shard=shard,
        )

    def evaluation_batches(self, indices: np.ndarray, *, shard: BatchShard | None = None) -> tf.data.Dataset:
        """Implements `PhaseInputs.evaluation_batches`."""
        batch_size = self._prepared.config.training.global_batch_size
        return self._features.evaluation_batches(
            indices, targets=self._measured, global_batch_size=batch_size, shard=shard
        )

    def predict_fn(self) -> PredictFn:
        """Implements `PhaseInputs.predict_fn`."""
        return _layer_by_layer(self, self._split.pooled)

    @property
    def nbytes_per_image(self) -> int:
        """Implements `PhaseInputs.nbytes_per_image`."""
        return self._features.reader.spec.nbytes


def open_inputs(prepared: PreparedRun, *, hold_decoded: bool = True) -> tuple[PhaseInputs, ...]:
    """Returns the inputs of each phase; computes features of frozen layers if keeping them pays.

    Args:
      prepared: The run.
      hold_decoded: Whether images that every epoch reads are held decoded if they fit in memory.

    Raises:
      WorkdirError: The disk of the cache is full.
    """
    store = feature_store(prepared)
    features = _features_of_phases(prepared, store) if store else {}
    source = prepared.source
    if hold_decoded and any(phase.plan not in features for phase in prepared.phases):
        source = held_decoded(
            source,
            np.unique(np.concatenate([prepared.images.trained, prepared.splits.validation])),
            prepared.images.inspection,
            decode=prepared.student.preprocess.decode,
            limit_gib=prepared.config.cache.decoded_gib,
        )
    targets, seconds = _targets(prepared), store.seconds_a_row if store else {}
    inputs: list[PhaseInputs] = []
    for phase in prepared.phases:
        split = prepared.models.split(prepared.student, phase.plan)
        if phase.plan in features:
            cached = FeatureInputs(prepared, features[phase.plan], split, targets)
            cached.forward_seconds = sum(each for at, each in seconds.items() if at > split.position) or None
            inputs.append(cached)
        else:
            on_images = ImageInputs(prepared, source, targets, views=prepared.views_per_image)
            on_images.forward_seconds = sum(seconds.values()) or None
            inputs.append(on_images)
    return tuple(inputs)


def feature_store(prepared: PreparedRun) -> FeatureStore | None:
    """Returns the store of frozen layers' activations, or None if each epoch must compute them."""
    config, student, views = prepared.config, prepared.student, prepared.views_per_image
    if not config.cache.enabled or config.model.method == "replicate":
        return None
    if config.data.mixup or config.data.cutmix or views > max(phase.epochs for phase in prepared.phases):
        say("frozen layers: computed at every step, because each epoch sees the images in another way")
        return None
    evaluated = np.concatenate([prepared.splits.validation, prepared.splits.test])
    images = _views(prepared, student.preprocess, views=views, evaluated=evaluated)
    return feature_store_of(config, student.teacher.spec.name, student.preprocess, images)


def _views(prepared: PreparedRun, preprocess: Preprocess, *, views: int, evaluated: np.ndarray) -> ViewsOfImages:
    """Returns the images of a run as a network with some preprocessing sees them in training and evaluation."""
    config, images = prepared.config, prepared.images
    return ViewsOfImages(
        source=images.source,
        contents=images.inspection.sha256,
        evaluated=evaluated,
        trained=images.trained,
        views=views,
        evaluation_transform=preprocess.evaluation_transform,
        training_transform=_training_transform(prepared, preprocess),
        without_padding=preprocess.without_padding,
        augmentation=_names_of_changes(config.data) + prepared.own_parts.token,
        seed=config.seed,
    )


def _names_of_changes(data: DataConfig) -> str:
    """Returns what decides how training images are varied; what is as it was in earlier versions is not named."""
    turned = " turned" if data.quarter_turns == "on" else ""
    usual = data.min_crop_area == MIN_CROP_AREAS.get(data.augmentation, data.min_crop_area)
    return (
        f"{data.augmentation}{'' if usual else f' {data.min_crop_area:g}'} flip {data.horizontal_flip == 'on'}{turned}"
    )


def _targets(prepared: PreparedRun) -> tuple[TargetFn, TargetFn]:
    """Returns what the loss takes of images that are trained on, and of those that are measured."""
    labels = labels_of(prepared.source)

    def of_labels(indices: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
        return prepared.targets(labels(indices, view))

    if prepared.teacher_run is None:
        return of_labels, of_labels
    # The teacher run sees the views that the student sees; where each epoch has new ones, the plain one stands for them all.
    teacher_run, views = prepared.teacher_run, prepared.views_per_image or 1
    seen = _views(prepared, teacher_run.trained.preprocess, views=views, evaluated=prepared.splits.test[:0])
    say(
        f"teacher run: it answers {number_of(views * len(prepared.images.trained), 'view')}, unless the cache has the answers"
    )
    logits = teacher_run.logits(prepared.config, seen, prepared.task)
    return distilled_targets(of_labels, logits, prepared.images.distilled, weight=prepared.config.distillation.weight)


def _features_of_phases(prepared: PreparedRun, store: FeatureStore) -> dict[FreezePlan, Features]:
    """Returns the features at the cut of each plan that has any, the shallowest computed first."""
    models, student = prepared.models, prepared.student
    splits = {phase.plan: models.split(student, phase.plan) for phase in prepared.phases}
    by_depth = sorted(splits.items(), key=lambda item: item[1].position)
    features = {plan: store.at(student, split, others=models.splits(student)) for plan, split in by_depth}
    # Whether it pays is measured: on slow disks perhaps not on every machine, but all must take the same steps.
    return {
        plan: found
        for plan, found in features.items()
        if all(prepared.distributor.all_gather(found is not None)) and found is not None
    }


def _training_transform(prepared: PreparedRun, preprocess: Preprocess) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    data = prepared.config.data
    return training_transform(
        preprocess,
        augmentation=data.augmentation,
        horizontal_flip=data.horizontal_flip == "on",
        min_crop_area=data.min_crop_area,
        quarter_turns=data.quarter_turns == "on",
        own=prepared.own_parts.augmentation,
    )


def _layer_by_layer(inputs: PhaseInputs, model: keras.Model) -> PredictFn:
    """Returns a function that predicts images without tracing the model, which takes longer than it saves over few layers."""

    def predict(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batches = inputs.evaluation_batches(indices)
        features, logits = zip(*(model(images, training=False) for images, _ in batches), strict=True)
        return np.concatenate(features), np.concatenate(logits)

    return predict
