"""Decides by the training images whether augmentation mirrors and turns them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tl_keras.builder import choose_backbone
from tl_keras.config import DataConfig, TransferConfig
from tl_keras.config.choices import OnOffAuto
from tl_keras.data.mirroring import measure_mirroring
from tl_keras.data.thumbnail_classifier import draw_thumbnails
from tl_keras.data.turning import TURNS, measure_turning
from tl_keras.training.embedding import Embedder, embedder_of_backbone
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.published_weights import is_trained_and_at_hand
from tl_keras.training.run_images import RunImages

_BATCH = 20

# Images, float32 (n, height, width, 3), to as many changed ones.
Change = Callable[[np.ndarray], np.ndarray]
_PLAIN_AND_MIRRORED: tuple[Change, ...] = (np.asarray, lambda inputs: inputs[:, :, ::-1])
_QUARTER_TURNS: tuple[Change, ...] = tuple(functools.partial(np.rot90, k=turn, axes=(1, 2)) for turn in range(TURNS))


def decide_orientation(config: TransferConfig, images: RunImages, models: ModelCache) -> tuple[DataConfig, list[str]]:
    """Returns the options of the images with `auto` decided in `horizontal_flip` and `quarter_turns`, and the reasons.

    Args:
      config: Resolved config of a run.
      images: Its images.
      models: Cache that keeps the decision for the next run of the same teacher on the same images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
    """
    data = config.data
    if "auto" not in (data.horizontal_flip, data.quarter_turns):
        return data, []
    key = (images.decided_from(config), data.horizontal_flip, data.quarter_turns)
    flip, turns, reasons = models.once(("orientation", key), lambda: _measured(config, images))
    return dataclasses.replace(data, horizontal_flip=flip, quarter_turns=turns), list(reasons)


def _measured(config: TransferConfig, images: RunImages) -> tuple[OnOffAuto, OnOffAuto, list[str]]:
    flip, turns, reasons = config.data.horizontal_flip, config.data.quarter_turns, list[str]()
    thumbnails = draw_thumbnails(images.source, images.splits.train, seed=config.seed)
    features_of = _FeaturesOfVersions(config, images)
    if flip == "auto":
        # `replicate` does without the teacher's weights, which are then not downloaded for this alone.
        is_asked = is_trained_and_at_hand(choose_backbone(config.model))
        mirroring = measure_mirroring(
            thumbnails, (lambda indices: features_of(indices, _PLAIN_AND_MIRRORED)) if is_asked else None
        )
        flip = "on" if mirroring.allowed else "off"
        reasons.append(mirroring.describe())
    if turns == "auto":
        turning = measure_turning(thumbnails, lambda indices: features_of(indices, _QUARTER_TURNS))
        turns = "on" if turning.allowed else "off"
        reasons.append(turning.describe())
    return flip, turns, reasons


class _FeaturesOfVersions:
    """The teacher's features of changed images; the teacher is loaded when it is asked first.

    Args:
      config: Resolved config of a run.
      images: Its images.
    """

    def __init__(self, config: TransferConfig, images: RunImages):
        self._model, self._source = config.model, images.source

    @functools.cached_property
    def _embedder(self) -> Embedder:
        return embedder_of_backbone(self._model)

    def __call__(self, indices: np.ndarray, versions: Sequence[Change]) -> np.ndarray:
        """Returns the features of each version of images, int64 (k,), float32 (versions, k, d), in their order."""
        preprocess, network = self._embedder.preprocess, self._embedder.cut.frozen
        assert network is not None

        def prepared(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            return element["index"], preprocess.evaluation_transform(self._source.decodable(element))

        found: dict[int, list[np.ndarray]] = {}
        for batch, inputs in self._source.images(indices, then=prepared).batch(_BATCH).as_numpy_iterator():
            changed = [network.predict_on_batch(np.ascontiguousarray(version(inputs))) for version in versions]
            found |= {int(index): [features[row] for features in changed] for row, index in enumerate(batch)}
        return np.stack([found[int(index)] for index in indices], axis=1)
