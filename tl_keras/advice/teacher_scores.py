"""Scores a teacher on the user's images: its features at several depths, and how well they tell the classes apart."""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np
from scipy.special import softmax

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.transferability import (
    Probe,
    draw,
    h_score,
    leep,
    linear_probe,
    log_me,
    nce,
    nearest_neighbour_accuracy,
)
from tl_keras.builder import Student, choose_backbone, load_top, plan_student
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.base import require_images
from tl_keras.data.groups import units
from tl_keras.data.inspection import Inspection
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits
from tl_keras.errors import WorkdirError
from tl_keras.tasks.base import task_named
from tl_keras.training.feature_cache import RowReader
from tl_keras.training.features import ViewsOfImages
from tl_keras.training.inputs import open_feature_store
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import RunImages, read_images
from tl_keras.unfreeze import parse_unfreeze

# Cuts at which features are computed.
_CUTS = ("fraction:0.7", "blocks:4", "blocks:2", "none")

# Largest number of images; more make the probe's uncertainty smaller than that of the choice of images, and cost time.
_MAX_IMAGES = 1000

# Smallest number of images per class; with fewer, some folds of the probe lack the class.
_FEWEST_OF_A_CLASS = 5

# Number of rows of a cache that are read and pooled at a time.
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Sample:
    """The training images that are used; validation and test images are not.

    Attributes:
      images: All images, with their splits.
      indices: int64 (n,), ascending, n at most 1,000.
      labels: int64 (n,).
      groups: int64 (n,), the same number for images of the same content or group.
      inspection_seconds: Time for listing and inspecting the source; 0 if the model cache had done so before.
    """

    images: RunImages
    indices: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    inspection_seconds: float

    @property
    def source(self) -> Source:
        """Returns the source of all images."""
        return self.images.source

    @property
    def inspection(self) -> Inspection:
        """Returns the inspection of all images."""
        return self.images.inspection

    @property
    def splits(self) -> Splits:
        """Returns the splits of all images."""
        return self.images.splits


@dataclasses.dataclass(frozen=True)
class Depth:
    """The features at one cut, averaged over the image.

    Attributes:
      unfreeze: Cut in the `unfreeze` language; the layers that it names come after these features.
      where: Name of the last frozen block.
      pooled: float32 (n, channels).
      probe: Out-of-fold predictions of a linear classifier on them.
      neighbours: Accuracy of the vote of the five nearest neighbours, 0 to 1.
      log_me: See `tl_keras.advice.transferability.log_me`.
      h_score: See `tl_keras.advice.transferability.h_score`.
    """

    unfreeze: str
    where: str
    pooled: np.ndarray
    probe: Probe
    neighbours: float
    log_me: float
    h_score: float


class PooledFeatures:
    """The mean over height and width of every channel of frozen layers' outputs, read from the cache when it is asked for.

    Args:
      reader: Reader of the cache.
      positions: int64 (n,), position of each image's row in it.
    """

    def __init__(self, reader: RowReader, positions: np.ndarray):
        self._reader, self._positions = reader, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of some images, float32 (k, channels)."""
        positions, parts = self._positions[rows], []
        for first in range(0, len(positions), _BATCH):
            tensors = self._reader(positions[first : first + _BATCH])
            parts.append(
                np.concatenate([each.reshape(len(each), -1, each.shape[-1]).mean(axis=1) for each in tensors], 1)
            )
        return np.concatenate(parts)

    def all(self) -> np.ndarray:
        """Returns the features of all images, float32 (n, channels)."""
        return self[np.arange(len(self))]


@dataclasses.dataclass(frozen=True)
class Closeness:
    """The teacher's view of the new classes by its own 1000 classes.

    Attributes:
      leep: See `tl_keras.advice.transferability.leep`.
      nce: See `tl_keras.advice.transferability.nce`.
      seen: For each new class, up to three of the teacher's classes with the part of the images that it takes for them.
    """

    leep: float
    nce: float
    seen: dict[str, tuple[tuple[str, float], ...]]


@dataclasses.dataclass(frozen=True)
class TeacherScores:
    """All scores of one teacher.

    Attributes:
      candidate: The teacher.
      parameters: Number of parameters of its network without the top.
      image_size: Size of the network's input, in pixels.
      depths: Depths from the shallowest to the deepest, which is the input of the head.
      closeness: Similarity of the classes; None if the teacher's own top is missing.
      seconds: Duration of the scoring.
    """

    candidate: Candidate
    parameters: int
    image_size: int
    depths: tuple[Depth, ...]
    closeness: Closeness | None
    seconds: float

    @property
    def last(self) -> Depth:
        """Returns the features that the head would get from the unchanged teacher."""
        return self.depths[-1]


def draw_sample(config: TransferConfig, models: ModelCache) -> Sample:
    """Draws at most 1,000 training images, each class in proportion, the smallest classes with at least five.

    Args:
      config: Config of the run to advise on.
      models: Cache whose inspection of the images a run with it reuses.

    Raises:
      DataError: The images cannot be used.
    """
    began = time.perf_counter()
    images = read_images(config, models)
    require_images(images.source.noun, command="advise")
    inspection_seconds = time.perf_counter() - began
    labels, train = images.source.labels, images.splits.train
    indices = draw(train, labels, images=_MAX_IMAGES, of_each_class=_FEWEST_OF_A_CLASS, seed=config.seed)
    known = images.source.groups
    groups = units(images.inspection.sha256[indices], known.names[indices] if known else None)
    return Sample(images, indices, labels[indices], groups, inspection_seconds)


def score_teacher(candidate: Candidate, config: TransferConfig, sample: Sample) -> TeacherScores:
    """Runs a teacher once over the sample, through the cache that training uses, and scores its features.

    Args:
      candidate: The teacher.
      config: Config of the run to advise on; its teacher, method and cut are ignored.
      sample: The images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
      WorkdirError: The cache's disk is full.
    """
    began = time.perf_counter()
    student, config, models = _student(candidate, config, sample.source)
    depths = tuple(
        _depth(unfreeze, where, pooled.all(), sample, seed=config.seed)
        for unfreeze, where, pooled in _pooled_at(
            _CUTS, student, config, models, source=sample.source, inspection=sample.inspection, indices=sample.indices
        )
    )
    return TeacherScores(
        candidate=candidate,
        parameters=student.backbone.count_params(),
        image_size=student.preprocess.image_size,
        depths=depths,
        closeness=_closeness(student, depths[-1].pooled, sample),
        seconds=time.perf_counter() - began,
    )


def pooled_features(
    candidate: Candidate, config: TransferConfig, source: Source, inspection: Inspection, indices: np.ndarray
) -> np.ndarray:
    """Returns the inputs that a new student's head gets for some images, float32 (k, channels), in ascending order."""
    return pooled_rows(candidate, config, source, inspection, indices).all()


def pooled_rows(
    candidate: Candidate, config: TransferConfig, source: Source, inspection: Inspection, indices: np.ndarray
) -> PooledFeatures:
    """Returns the same as `pooled_features`, computed but not yet read, for sets that do not fit into memory."""
    student, config, models = _student(candidate, config, source)
    ((_, _, pooled),) = _pooled_at(
        ("none",), student, config, models, source=source, inspection=inspection, indices=indices
    )
    return pooled


def _student(
    candidate: Candidate, config: TransferConfig, source: Source
) -> tuple[Student, TransferConfig, ModelCache]:
    """Builds a student on the candidate; its method and cut do not matter."""
    config = from_json(to_json(config))
    config.model = dataclasses.replace(candidate.choose(config.model), method="fine_tune", unfreeze="blocks:1")
    teacher, models = choose_backbone(config.model), ModelCache()
    outputs = task_named(config.task).outputs(source.class_names)
    return models.student(teacher, config.model, num_classes=outputs, seed=config.seed), config, models


def _pooled_at(
    cuts: tuple[str, ...],
    student: Student,
    config: TransferConfig,
    models: ModelCache,
    *,
    source: Source,
    inspection: Inspection,
    indices: np.ndarray,
) -> list[tuple[str, str, PooledFeatures]]:
    """Returns (cut, last frozen block, features) for each depth that the teacher has, the shallowest first."""
    images = ViewsOfImages(
        source=source,
        contents=inspection.sha256,
        evaluated=np.sort(indices),
        trained=np.zeros(0, np.int64),
        views=1,
        evaluation_transform=student.preprocess.evaluation_transform,
        training_transform=lambda image, seed: student.preprocess.evaluation_transform(image),
        without_padding=student.preprocess.without_padding,
        augmentation="none",
        seed=config.seed,
    )
    store = open_feature_store(config, student, images, once=True)
    blocks = student.plan.blocks
    found = []
    # The shallowest first, in the order that the feature store needs.
    for trained, unfreeze in sorted(_blocks_trained(cuts, student, config).items(), reverse=True):
        plan = plan_student(student.teacher, student.backbone, config.model, unfreeze=unfreeze)
        split = models.split(student, plan if trained else plan.frozen())
        features = store.at(student, split, others=models.splits(student))
        if features is None and not trained:  # pooled features take a few KiB per image
            raise WorkdirError(
                "cache: expected room for the features of the sample. Received: none, see the line before. "
                "Use --cache_dir to name another place."
            )
        if features is not None:
            found.append(
                (
                    unfreeze,
                    blocks[len(blocks) - trained - 1].name,
                    PooledFeatures(features.reader, features.rows[0, np.sort(indices)]),
                )
            )
    return found


def _blocks_trained(cuts: tuple[str, ...], student: Student, config: TransferConfig) -> dict[int, str]:
    """Returns the cuts that leave a block of the teacher frozen, by the number of blocks that they train."""
    blocks, found = len(student.plan.blocks), {}
    for unfreeze in cuts:
        if unfreeze == "none":
            found[0] = unfreeze
        elif parse_unfreeze(unfreeze).count < blocks:
            plan = plan_student(student.teacher, student.backbone, config.model, unfreeze=unfreeze)
            trained = sum(block.trained_layers > 0 for block in plan.blocks)
            if trained < blocks:
                found[trained] = unfreeze
    return found


def _depth(unfreeze: str, where: str, pooled: np.ndarray, sample: Sample, *, seed: int) -> Depth:
    classes = len(sample.source.class_names)
    return Depth(
        unfreeze=unfreeze,
        where=where,
        pooled=pooled,
        probe=linear_probe(pooled, sample.labels, classes=classes, groups=sample.groups, seed=seed),
        neighbours=nearest_neighbour_accuracy(pooled, sample.labels, groups=sample.groups),
        log_me=log_me(pooled, sample.labels),
        h_score=h_score(pooled, sample.labels),
    )


def _closeness(student: Student, pooled: np.ndarray, sample: Sample) -> Closeness | None:
    top = load_top(student.teacher)
    if top is None:
        return None
    kernel, bias = top
    probabilities = softmax(pooled.astype(np.float64) @ kernel + bias, axis=1)
    answers = probabilities.argmax(axis=1)
    names = _imagenet_names()
    seen = {}
    for label, name in enumerate(sample.source.class_names):
        counts = np.bincount(answers[sample.labels == label], minlength=len(names))
        most = [int(answer) for answer in np.argsort(-counts, kind="stable")[:3] if counts[answer]]
        seen[name] = tuple((names[answer], float(counts[answer] / counts.sum())) for answer in most)
    return Closeness(leep(probabilities, sample.labels), nce(answers, sample.labels), seen)


def _imagenet_names() -> list[str]:
    """Returns the common names of ImageNet's 1000 classes, by Keras's index of them."""
    decoded = keras.applications.imagenet_utils.decode_predictions(np.eye(1000), top=1)
    return [first[1].replace("_", " ") for (first,) in decoded]
