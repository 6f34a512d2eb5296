"""Gathers what a choice of labels is made from: unlabelled images, labelled ones, and the features of both."""

from __future__ import annotations

import dataclasses
import os

import keras
import numpy as np
import tensorflow as tf

from tl_keras.advice.suspects import far_away, unlike_all_others
from tl_keras.advice.thumbnails import copies_by_thumbnails
from tl_keras.config import DEFAULT_MAX_PIXELS, TransferConfig
from tl_keras.data.base import Source, require_images
from tl_keras.data.inspection import Inspection, inspect_as
from tl_keras.data.options import SourceOptions
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import DataError
from tl_keras.experiments.measure import open_run
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.training.embedding import Embedder, embed, embedder_of_backbone, embedder_of_run


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that can be decoded, and their features.

    Attributes:
      source: Their source.
      inspection: Its inspection.
      indices: Images that can be decoded, int64 (n,), ascending.
      features: Pooled features of a run's student, or of a backbone, float32 (n, d).
    """

    source: Source
    inspection: Inspection
    indices: np.ndarray
    features: np.ndarray

    @property
    def contents(self) -> np.ndarray:
        """Returns the hash of each image's file, str (n,)."""
        return self.inspection.sha256[self.indices]

    def only(self, rows: np.ndarray) -> Images:
        """Returns some of the images, by their positions among all, int64 (k,), ascending."""
        return dataclasses.replace(self, indices=self.indices[rows], features=self.features[rows])


@dataclasses.dataclass(frozen=True)
class Gathered:
    """The images to choose from, and what is known.

    Attributes:
      embedder: Network whose features these are.
      config: Config of the run; of a backbone, the defaults with it.
      unlabelled: Images of which a label would be new, one of each set of near copies.
      labelled: Images of the run; None for a backbone.
      copies: Number of unlabelled images left out because they are copies of another.
      known: Number of unlabelled images left out because they, or copies of them, are labelled.
      outliers: Positions of the outliers among the unlabelled images, the farthest first, int64 (k,).
      run: Config by which the labelled images were read; None for a backbone.
    """

    embedder: Embedder
    config: TransferConfig
    unlabelled: Images
    labelled: Images | None
    copies: int
    known: int
    outliers: np.ndarray
    run: TransferConfig | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Returns the classes that are known so far."""
        return self.labelled.source.class_names if self.labelled else ()

    @property
    def probabilities(self) -> np.ndarray | None:
        """Returns the run's calibrated probabilities for the unlabelled images, float32 (n, classes); None without a run."""
        trained = self.embedder.trained
        if trained is None:
            return None
        model = trained.model
        head = keras.Model(model.get_layer(FEATURES_LAYER).output, model.output)
        logits = head.predict(self.unlabelled.features, batch_size=1024, verbose=0)
        return trained.task.probabilities(tf.constant(logits / trained.statistics.temperature)).numpy()


def gather_for_run(workdir: str | os.PathLike[str], config: TransferConfig) -> Gathered:
    """Gathers unlabelled images and those of a finished run, with the features of its student.

    Args:
      workdir: Directory of the run.
      config: Config that names the unlabelled images as its data, and the cache; they are read as the run's are, except for
        `max_pixels` where it is not the default.

    Raises:
      WorkdirError: It holds no finished run.
      DataError: The run is not of one class per image, or images cannot be read.
    """
    embedder = embedder_of_run(workdir)
    read_by, source, splits = open_run(workdir)
    if source.labelling.kind != "class":
        raise DataError(
            f"label_next: expected a run of one class per image. Received: {workdir}, of another task. Leave --workdir out and "
            "give --backbone to choose by coverage alone."
        )
    data = config.data
    if data.max_pixels == DEFAULT_MAX_PIXELS:
        data = dataclasses.replace(data, max_pixels=read_by.data.max_pixels)
    config = dataclasses.replace(config, model=read_by.model, data=data)
    inspection = inspect_as(source, config)
    # After folds, training images are validation images too.
    indices = np.unique(np.concatenate([splits.train, splits.validation, splits.test]))
    labelled = embedded(embedder, source, inspection, indices[inspection.decodable[indices]], config)
    return dataclasses.replace(gather(embedder, config.data.source, config, labelled), run=read_by)


def gather_for_backbone(config: TransferConfig) -> Gathered:
    """Gathers unlabelled images, with the features of a pre-trained backbone.

    Args:
      config: Resolved config that names the unlabelled images as its data, the backbone and the cache.

    Raises:
      BackboneError: The weights cannot be loaded.
      DataError: Images cannot be read.
    """
    return gather(embedder_of_backbone(config.model), config.data.source, config, None)


def gather(embedder: Embedder, unlabelled: str, config: TransferConfig, labelled: Images | None) -> Gathered:
    """Gathers unlabelled images beside labelled ones.

    Args:
      embedder: Network whose features are used.
      unlabelled: Name of the source of the unlabelled images.
      config: Config of the cache, and of how images are read.
      labelled: Labelled images, with features of the same network; None if there are none.

    Raises:
      DataError: The images cannot be read, or none of them is new.
    """
    source = open_unlabelled(unlabelled, SourceOptions.of(config))
    require_images(source.noun, command="label_next")
    inspection = inspect_as(source, config)
    indices = np.flatnonzero(inspection.decodable)
    number = _number_of_each(source, inspection, indices, labelled, config)
    before = len(labelled.indices) if labelled else 0
    known = number < before
    new = np.flatnonzero(number == before + np.arange(len(indices)))
    copies = len(indices) - int(known.sum()) - len(new)
    if not len(new):
        raise DataError(
            f"{source.name}: expected images that are not labelled yet. Received: none; {int(known.sum())} are labelled and "
            f"{copies} are copies of others. Name a folder with new images."
        )
    images = embedded(embedder, source, inspection, indices[new], config)
    return Gathered(
        embedder=embedder,
        config=config,
        unlabelled=images,
        labelled=labelled,
        copies=copies,
        known=int(known.sum()),
        outliers=_outliers(embedder, images.features, labelled, seed=config.seed),
    )


def embedded(
    embedder: Embedder, source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig
) -> Images:
    """Returns some images that can be decoded, int64 (n,), with their features."""
    source = inspection.known(source)
    return Images(source, inspection, indices, embed(embedder, source, inspection, indices, config).all())


def _number_of_each(
    source: Source, inspection: Inspection, indices: np.ndarray, labelled: Images | None, config: TransferConfig
) -> np.ndarray:
    """Returns a number for each unlabelled image, that of the first image like it, labelled ones counted first, int64 (n,)."""
    parts = [
        *([(labelled.source, labelled.inspection, labelled.indices)] if labelled else []),
        (source, inspection, indices),
    ]
    return copies_by_thumbnails(parts, config)[-len(indices) :]


def _outliers(embedder: Embedder, features: np.ndarray, labelled: Images | None, *, seed: int) -> np.ndarray:
    """Returns the positions of images that are far from the labelled ones, or where none are, from the others."""
    if embedder.trained:
        return far_away(embedder.trained.statistics.outliers.score(tf.constant(features)).numpy())
    far, _ = unlike_all_others(features, known=labelled.features if labelled else None, seed=seed)
    return far
