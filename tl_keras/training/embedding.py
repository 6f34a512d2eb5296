"""Computes the features of any images, or texts, with a finished run or a pre-trained backbone, through the cache of training.

```
run directory ─┐
               ├─► Embedder ─► embed(images) ─► Embeddings, rows of the cache
backbone ──────┘
```
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import TeacherChoice, build_student, choose_backbone
from tl_keras.config import ModelConfig, TransferConfig
from tl_keras.data.base import Source
from tl_keras.data.inspection import Inspection
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.answering_models import computed
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.training.feature_cache import RowReader
from tl_keras.training.features import FeatureStore, ViewsOfImages, feature_store_of
from tl_keras.training.split_student import SplitStudent, split_student

# Number of rows of a cache that are read and pooled at a time.
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Embedder:
    """A network that turns an image into a vector, near those of images alike.

    Attributes:
      name: Words for the network, such as `run1 (MobileNetV2)`.
      backbone: Name of its architecture in the table, or of the file.
      preprocess: Preprocessing from an image to its input.
      cut: The network up to the pooled features, float32 (batch, feature_dim), as its frozen part.
      identity: Facts that decide the features of an image, as JSON values: `backbone`, `view` (the preprocessing) and `weights`,
        a SHA-256; of a run that of its whole model, which its exports carry as `weights_sha256`.
      trained: The model of a run; None for a backbone.
      teacher: The teacher of a backbone; None for a run.
    """

    name: str
    backbone: str
    preprocess: Preprocess
    cut: SplitStudent
    identity: dict[str, Any]
    trained: TrainedModel | None = None
    teacher: TeacherChoice | None = None

    def features(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns features, float32 (n, feature_dim), without the cache; see `tl_keras.serving.predictor.embed_images`."""
        assert self.cut.frozen is not None
        return computed(self.cut.frozen, self.preprocess, images, batch_size=batch_size)


class Embeddings:
    """The mean over height and width of every channel of a network's outputs, read from the cache when it is asked for.

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


@with_own_keras_settings
def embedder_of_run(workdir: str | os.PathLike[str]) -> Embedder:
    """Returns the network of a finished run, as it was kept.

    Raises:
      WorkdirError: It holds no finished run.
      BackboneError: Its model cannot be read.
    """
    run = RunDirectory(workdir)
    backbone = run.require_result().backbone
    trained = load_model(run.model)
    model = trained.model
    features = keras.Model(model.input, model.get_layer(FEATURES_LAYER).output)
    made = keras.Input(features.output_shape[1:])
    same = keras.Model(made, made)
    # The position is that of the same cut while the run was trained, which finds the rows that it has left in the cache.
    cut = SplitStudent(len(model.get_layer("backbone").layers), features, same, same)
    identity = _identity(backbone, trained.preprocess, model)
    name = f"{pathlib.Path(workdir)} ({backbone})"
    return Embedder(name, backbone, trained.preprocess, cut, identity, trained=trained)


@with_own_keras_settings
def embedder_of_backbone(config: ModelConfig) -> Embedder:
    """Returns a pre-trained backbone as it came, up to its pooled features.

    Args:
      config: Backbone, weights and view; its method and cut do not matter.

    Raises:
      BackboneError: The weights cannot be loaded.
    """
    config = dataclasses.replace(config, method="feature_extraction", unfreeze="none", head_layers="", head="linear")
    teacher = choose_backbone(config)
    student = build_student(teacher, config, num_classes=1)
    cut = split_student(student, student.plan.frozen())
    assert cut.frozen is not None
    name, preprocess = teacher.spec.name, teacher.preprocess
    identity = _identity(name, preprocess, cut.frozen)
    return Embedder(teacher.describe(), name, preprocess, cut, identity, teacher=teacher)


@with_own_keras_settings
def embed(
    embedder: Embedder, source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig
) -> Embeddings:
    """Computes the features of some images once; what the cache has of them is not computed again.

    Args:
      embedder: The network.
      source: Source of the images.
      inspection: Its inspection.
      indices: int64 (k,), images that can be decoded.
      config: Config whose cache is used.

    Returns:
      The features of those images, in ascending order of their indices.

    Raises:
      WorkdirError: The cache has no room, or its disk is full.
    """
    features = _store(embedder, source, inspection, indices, config).at(None, embedder.cut)
    if features is None:
        raise no_room()
    return Embeddings(features.reader, features.rows[0, np.sort(indices)])


@with_own_keras_settings
def without_features(
    embedder: Embedder, source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig
) -> np.ndarray:
    """Returns those of some images, int64 (k,), whose features the cache does not have, with the arguments of `embed`."""
    return np.flatnonzero(_store(embedder, source, inspection, indices, config).missing(embedder.cut)[0])


def _store(
    embedder: Embedder, source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig
) -> FeatureStore:
    images = plain_views(embedder.preprocess, source, inspection, indices)
    return feature_store_of(config, embedder.backbone, embedder.preprocess, images, once=True)


def plain_views(
    preprocess: Preprocess, source: Source, inspection: Inspection, indices: np.ndarray, *, seed: int = 0
) -> ViewsOfImages:
    """Returns some images as evaluation sees them, for a feature store."""
    return ViewsOfImages(
        source=source,
        contents=inspection.sha256,
        evaluated=np.sort(indices),
        trained=np.zeros(0, np.int64),
        views=1,
        evaluation_transform=preprocess.evaluation_transform,
        training_transform=lambda image, seed: preprocess.evaluation_transform(image),
        without_padding=preprocess.without_padding,
        augmentation="none",
        seed=seed,
    )


def _identity(backbone: str, preprocess: Preprocess, model: keras.Model) -> dict[str, Any]:
    """Returns `Embedder.identity` as it is read from a file again."""
    facts = {"backbone": backbone, "view": preprocess.to_json(), "weights": fingerprint(model)}
    return dict(json.loads(json.dumps(facts)))


def no_room() -> WorkdirError:
    """Returns the error for a cache that cannot keep pooled features, which take a few KiB per image."""
    return WorkdirError(
        "cache: expected room for the features of the images. Received: none, see the line before. "
        "Use --cache_dir to name another place."
    )
