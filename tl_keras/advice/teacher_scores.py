"""Scores a teacher on the user's images: its features at several depths, and how well they tell the classes apart."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import keras
import numpy as np
from scipy.special import softmax

from tl_keras.advice.candidates import Candidate
from tl_keras.builder import Student, choose_backbone, load_top, plan_student
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.groups import units
from tl_keras.data.inspection import Inspection
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits
from tl_keras.errors import DataError
from tl_keras.probes.probe import Probe
from tl_keras.probes.task_probe import TaskProbe, probe
from tl_keras.probes.transferability import (
    draw,
    h_score,
    leep,
    log_me,
    nce,
    nearest_neighbour_accuracy,
)
from tl_keras.tasks.base import Task, task_named
from tl_keras.training.embedding import Embeddings, embed, embedder_of_backbone, no_room, plain_views
from tl_keras.training.features import feature_store_of
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import RunImages, for_its_inputs, read_images
from tl_keras.unfreeze import parse_unfreeze

# Cuts at which features are computed. Of a text the last alone: before, each token has a vector of its own, padding too.
_CUTS = {"image": ("fraction:0.7", "blocks:4", "blocks:2", "none"), "text": ("none",)}

# Largest number of images; more make the probe's uncertainty smaller than that of the choice of images, and cost time.
_MAX_IMAGES = 1000

# Smallest number of images per class; with fewer, some folds of the probe lack the class.
_FEWEST_OF_A_CLASS = 5


@dataclasses.dataclass(frozen=True)
class Sample:
    """The training images that are used; validation and test images are not.

    Attributes:
      images: All images, with their splits.
      indices: int64 (n,), ascending, n at most 1,000.
      labels: Labels of these images, as the source has them.
      task: Task that is learnt, with what it knows of these images.
      groups: int64 (n,), the same number for images of the same content or group.
      inspection_seconds: Time for listing and inspecting the source; 0 if the model cache had done so before.
    """

    images: RunImages
    indices: np.ndarray
    labels: np.ndarray
    task: Task
    groups: np.ndarray
    inspection_seconds: float

    @property
    def strata(self) -> np.ndarray:
        """Returns the stratum of every image of the source, int64, of which parts of the sample have the same share."""
        return self.source.labelling.strata(self.source.labels)

    def probe(self, features: np.ndarray, *, seed: int) -> Probe | TaskProbe:
        """Returns what simple models make of features of the images, float32 (n, d), out of fold."""
        classes = len(self.source.class_names)
        return probe(self.task, features, self.labels, classes=classes, groups=self.groups, seed=seed)

    @property
    def of_classes(self) -> bool:
        """Returns whether one class per image is learnt, without an order: what published scores of features are for."""
        return self.task.label_kind == "class"

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
      probe: Out-of-fold answers of simple models on them.
      neighbours: Accuracy of the vote of the five nearest neighbours, 0 to 1; None, as what follows, unless classes are learnt.
      log_me: See `tl_keras.probes.transferability.log_me`.
      h_score: See `tl_keras.probes.transferability.h_score`.
    """

    unfreeze: str
    where: str
    pooled: np.ndarray
    probe: Probe | TaskProbe
    neighbours: float | None = None
    log_me: float | None = None
    h_score: float | None = None


@dataclasses.dataclass(frozen=True)
class Closeness:
    """The teacher's view of the new classes by its own 1000 classes.

    Attributes:
      leep: See `tl_keras.probes.transferability.leep`.
      nce: See `tl_keras.probes.transferability.nce`.
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
      image_size: Size of the network's input, in pixels; 0 if it takes texts.
      depths: Depths from the shallowest to the deepest, which is the input of the head.
      closeness: Similarity of the classes; None if none are learnt, or the teacher's own top is missing.
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
      DataError: The images cannot be used, or belong together, all of them.
    """
    began = time.perf_counter()
    images = read_images(config, models)
    inspection_seconds = time.perf_counter() - began
    labels, train = images.source.labels, images.splits.train
    strata = images.source.labelling.strata(labels)
    indices = draw(train, strata, images=_MAX_IMAGES, of_each_class=_FEWEST_OF_A_CLASS, seed=config.seed)
    known = images.source.groups
    groups = units(images.inspection.sha256[indices], known.names[indices] if known else None)
    if len(np.unique(groups)) < 2:
        noun = images.source.noun
        raise DataError(
            f"{images.source.name}: expected training {noun}s of two groups at least, so that what one teaches is asked about the "
            f"other; copies are one group. Received one. Add {noun}s, or choose the options of training without advice."
        )
    task = task_named(config.task).with_labels(labels[indices])
    return Sample(images, indices, labels[indices], task, groups, inspection_seconds)


def score_teacher(
    candidate: Candidate, config: TransferConfig, sample: Sample, *, every_depth: bool = True
) -> TeacherScores:
    """Runs a teacher once over the sample, through the cache that training uses, and scores its features.

    Args:
      candidate: The teacher.
      config: Config of the run to advise on; its teacher, method and cut are ignored.
      sample: The images.
      every_depth: Whether shallower features are looked at beside the last ones.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
      WorkdirError: The cache's disk is full.
    """
    began = time.perf_counter()
    student, config, models = _student(candidate, config, sample)
    depths = tuple(
        _depth(unfreeze, where, pooled.all(), sample, seed=config.seed)
        for unfreeze, where, pooled in _pooled_at(
            _CUTS[sample.source.noun] if every_depth else ("none",),
            student,
            config,
            models,
            source=sample.source,
            inspection=sample.inspection,
            indices=sample.indices,
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
) -> Embeddings:
    """Returns the same as `pooled_features`, computed but not yet read, for sets that do not fit into memory."""
    return embed(embedder_of_backbone(candidate.choose(config.model)), source, inspection, indices, config)


def _student(
    candidate: Candidate, config: TransferConfig, sample: Sample
) -> tuple[Student, TransferConfig, ModelCache]:
    """Builds a student on the candidate; its method and cut do not matter."""
    config = from_json(to_json(config))
    config.model = dataclasses.replace(candidate.choose(config.model), method="fine_tune", unfreeze="blocks:1")
    if sample.source.noun == "text":
        from tl_keras.text.text_defaults import with_length

        config, _ = with_length(for_its_inputs(config, sample.source), sample.source, sample.splits.train)
    teacher, models = choose_backbone(config.model), ModelCache()
    outputs = task_named(config.task).outputs(sample.source.class_names)
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
) -> list[tuple[str, str, Embeddings]]:
    """Returns (cut, last frozen block, features) for each depth that the teacher has, the shallowest first."""
    images = plain_views(student.preprocess, source, inspection, indices, seed=config.seed)
    store = feature_store_of(config, student.teacher.spec.name, student.preprocess, images, once=True)
    blocks = student.plan.blocks
    found = []
    # The shallowest first, in the order that the feature store needs.
    for trained, unfreeze in sorted(_blocks_trained(cuts, student, config).items(), reverse=True):
        plan = plan_student(student.teacher, student.backbone, config.model, unfreeze=unfreeze)
        split = models.split(student, plan if trained else plan.frozen())
        features = store.at(student, split, others=models.splits(student))
        if features is None and not trained:  # pooled features take a few KiB per image
            raise no_room()
        if features is not None:
            found.append(
                (
                    unfreeze,
                    blocks[len(blocks) - trained - 1].name,
                    Embeddings(features.reader, features.rows[0, np.sort(indices)]),
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
    depth = Depth(unfreeze, where, pooled, sample.probe(pooled, seed=seed))
    if not sample.of_classes:
        return depth
    return dataclasses.replace(
        depth,
        neighbours=nearest_neighbour_accuracy(pooled, sample.labels, groups=sample.groups),
        log_me=log_me(pooled, sample.labels),
        h_score=h_score(pooled, sample.labels),
    )


def _closeness(student: Student, pooled: np.ndarray, sample: Sample) -> Closeness | None:
    top = load_top(student.teacher) if sample.of_classes else None
    if top is None:
        return None
    kernel, bias = top
    probabilities = softmax(pooled.astype(np.float64) @ kernel + bias, axis=1)
    answers = probabilities.argmax(axis=1)
    names = imagenet_names()
    seen = {}
    for label, name in enumerate(sample.source.class_names):
        seen[name] = commonest(answers[sample.labels == label], names, most=3)
    return Closeness(leep(probabilities, sample.labels), nce(answers, sample.labels), seen)


def commonest(answers: np.ndarray, names: Sequence[str], *, most: int) -> tuple[tuple[str, float], ...]:
    """Returns the names of the commonest answers, with the part of all that each has.

    Args:
      answers: Positions among the names, int64 (n,).
      names: Names of the answers.
      most: Largest number of names to return.
    """
    counts = np.bincount(answers, minlength=len(names))
    first = [int(answer) for answer in np.argsort(-counts, kind="stable")[:most] if counts[answer]]
    return tuple((names[answer], float(counts[answer] / counts.sum())) for answer in first)


def imagenet_names() -> list[str]:
    """Returns the common names of ImageNet's 1000 classes, by Keras's index of them."""
    decoded = keras.applications.imagenet_utils.decode_predictions(np.eye(1000), top=1)
    return [first[1].replace("_", " ") for (first,) in decoded]
