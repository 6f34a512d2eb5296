"""Computes what a Keras model makes of images, through the cache: `features`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import keras
import numpy as np

from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, Preprocess, PreprocessSpec
from tl_keras.config import CacheConfig
from tl_keras.data.pipeline import evaluation_batches, labels_of
from tl_keras.data.splits import SPLITS
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import BackboneError, ConfigError, nearest
from tl_keras.pieces.labelled_data import LabelledData, as_data
from tl_keras.pieces.students import known_preprocess
from tl_keras.training.feature_cache import FeatureCache
from tl_keras.training.features import FeatureStore, ViewsOfImages
from tl_keras.training.split_student import whole_model
from tl_keras.training.versions import versions
from tl_keras.user_folders import cache_folder

_BATCH = 32
_SPLITS = (*SPLITS, "unused")


@dataclasses.dataclass(frozen=True, repr=False)
class Features:
    """The outputs of a model for labelled images.

    Example:
      ```python
      import tl_keras as tl

      found = tl.features(tl.build("teacher.keras", classes=2), "photos/")
      values, labels = found.of("validation")
      assert len(values) == len(labels)
      ```

    Attributes:
      values: Output for each image, float32 (n, ...), in the order of the source; images that cannot be decoded are left out.
      labels: Their labels, int64 (n,), or as the source has them.
      ids: Their names in the source.
      splits: Their splits, str (n,): `train`, `validation`, `test` or `unused`.
    """

    values: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    splits: np.ndarray

    def of(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns values and labels of the images of one split, for any classifier.

        Args:
          split: `train`, `validation`, `test` or `unused`.

        Raises:
          ConfigError: It is another name.
        """
        if split not in _SPLITS:
            raise ConfigError(
                f"split: expected one of {', '.join(_SPLITS)}. Received: {split}. {nearest(split, _SPLITS)}".strip()
            )
        chosen = self.splits == split
        return self.values[chosen], self.labels[chosen]

    def __repr__(self) -> str:
        return f"<Features: {self.values.shape[0]} images, each {self.values.shape[1:]}>"


@with_own_keras_settings
def features(model: keras.Model, data: Any, *, preprocess: Preprocess | None = None) -> Features:
    """Returns what a model makes of images; it is computed once for each image, and read from the cache afterwards.

    Example:
      ```python
      import keras
      from sklearn.linear_model import LogisticRegression

      import tl_keras as tl

      base = keras.models.load_model("teacher.keras")
      pooled = keras.Model(base.input, keras.layers.GlobalAveragePooling2D()(base.output))
      found = tl.features(pooled, "photos/")
      classifier = LogisticRegression(max_iter=1000).fit(*found.of("train"))
      print(classifier.score(*found.of("test")))
      ```

    Args:
      model: Functional model of one input, images, and one output; it runs as in evaluation, and is not changed.
      data: Images as `tl_keras.load_data` takes or returns them.
      preprocess: Preprocessing from an image to the model's input. None for that of a student of `tl_keras.build`; for any other
        model the whole image, squashed to its input size, RGB, 0 to 255.

    Raises:
      BackboneError: The model has no fixed input size, or several inputs or outputs.
      DataError: The images cannot be read.
      WorkdirError: The disk of the cache is full.
    """
    data = as_data(data)
    spec = preprocess or known_preprocess(model) or _whole_image(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BackboneError(
            f"model: expected one input and one output. Received: {len(model.inputs)} and {len(model.outputs)} of {model.name}."
        )
    indices = np.flatnonzero(data.images.inspection.decodable)
    return Features(
        values=_computed(model, data, indices, spec),
        labels=data.labels[indices],
        ids=tuple(data.images.source.ids[index] for index in indices.tolist()),
        splits=_split_of_each(data)[indices],
    )


def _computed(model: keras.Model, data: LabelledData, indices: np.ndarray, spec: Preprocess) -> np.ndarray:
    """Returns the output for each of some images, from the cache, or computed where keeping it does not pay."""
    source, cache = data.images.source, CacheConfig()
    store = FeatureStore(
        FeatureCache(cache_folder(cache.folder), limit_gib=cache.limit_gib),
        ViewsOfImages(
            source=source,
            contents=data.images.inspection.sha256,
            evaluated=indices,
            trained=indices[:0],
            views=1,
            evaluation_transform=spec.evaluation_transform,
            training_transform=lambda image, seed: spec.evaluation_transform(image),
            without_padding=spec.without_padding,
            augmentation="none",
            seed=0,
        ),
        {
            "model": hashlib.sha256(json.dumps(model.get_config(), default=str).encode()).hexdigest(),
            "backend": keras.backend.backend(),
            "preprocess": spec.to_json(),
            "versions": versions(),
        },
        inference_engine=cache.inference_engine,
        dtype=cache.dtype,
        once=True,
    )
    found = store.at(None, whole_model(model))
    if found is not None:
        return found.reader(found.rows[0, indices])[0]
    batches = evaluation_batches(
        source, indices, transform=spec.evaluation_transform, targets=labels_of(source), global_batch_size=_BATCH
    )
    return np.asarray(model.predict(batches.map(lambda images, labels: images), verbose=0))


def _whole_image(model: keras.Model) -> PreprocessSpec:
    """Returns the preprocessing that squashes the whole image to a model's input size, and normalises nothing.

    Raises:
      BackboneError: The model has no fixed, square input size.
    """
    shape = model.input_shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise BackboneError(
            f"model: expected an input of shape (batch, size, size, 3) with a fixed size. Received: {shape} of {model.name}. "
            "Build it with input_shape, or give preprocess."
        )
    return PreprocessSpec(
        image_size=shape[1],
        rule="squash",
        crop_fraction=1.0,
        interpolation="bilinear",
        antialias=True,
        normalization=INSIDE_THE_MODEL,
    )


def _split_of_each(data: LabelledData) -> np.ndarray:
    split: np.ndarray = np.full(len(data), "unused", "U10")
    for name in SPLITS:
        split[getattr(data.splits, name)] = name
    return split
