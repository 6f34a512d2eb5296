"""Inspects and embeds images as Apache Beam pipelines, into the caches from which the ordinary command then takes all it needs.

```
images that the inspection does not know ─► LookAtPart ─► what was seen of each part ─► memory of the inspection
images without features ─► EmbedPart ─► a cache for each part ─► the cache of features
```
So whatever is made of them, an index, a page or a training run, is what one process makes of them by the same inference engine.
"""

from __future__ import annotations

import copy
import hashlib
import json
import pathlib
from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np
from apache_beam.utils.shared import Shared

from tl_keras.advice.image_index import chosen_embedder
from tl_keras.config import TransferConfig
from tl_keras.data.base import Source, require_images
from tl_keras.data.inspection import inspect_as, look_at_part, not_looked_at
from tl_keras.data.options import SourceOptions
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import DataError
from tl_keras.serving.beam_runner import run_parts
from tl_keras.training.embedding import embed, without_features
from tl_keras.training.feature_cache import FeatureCache
from tl_keras.user_folders import cache_folder

# Number of images in a part: a multiple of that in a batch of the feature cache, so that the batches are those of one process.
_IMAGES = 1024
_Part = tuple[int, list[int]]


class LookAtPart(beam.DoFn):
    """Reads, hashes and decodes a part of the images."""

    def __init__(self, config: TransferConfig):
        self._config, self._shared = config, Shared()

    def setup(self) -> None:
        """Lists the images."""
        self._source: Source = self._shared.acquire(lambda: _opened(self._config))

    def process(self, element: _Part) -> None:
        """Leaves what is seen of a part, given by its number and its images, to the memory of the inspection."""
        number, indices = element
        look_at_part(self._source, self._config, np.array(indices), part=number)


class EmbedPart(beam.DoFn):
    """Computes the features of a part of the images; the network is loaded once for all threads of a process."""

    def __init__(self, config: TransferConfig, workdir: str, caches: pathlib.Path):
        self._config, self._workdir, self._caches, self._shared = config, workdir, caches, Shared()

    def setup(self) -> None:
        """Lists the images, recalls their inspection and loads the network."""
        self._loaded: _Loaded = self._shared.acquire(lambda: _Loaded(self._config, self._workdir))

    def process(self, element: _Part) -> None:
        """Computes the features of a part, given by its number and its images, into a cache of its own."""
        number, indices = element
        loaded = self._loaded
        own = _with_cache(self._config, self._caches / f"{number:06}")
        embed(loaded.embedder, loaded.source, loaded.inspection, np.array(indices), own)


class _Loaded:
    """The images and the network of a worker."""

    def __init__(self, config: TransferConfig, workdir: str):
        self.source = _opened(config)
        self.inspection = inspect_as(self.source, config)
        self.embedder = chosen_embedder(workdir, config.model)


def embed_with_beam(config: TransferConfig, *, workdir: str = "", options: Sequence[str] = ()) -> None:
    """Inspects all images of a source, with or without labels, and computes their features, several parts at a time.

    Args:
      config: Config that names the source, and whose cache is used; workers see both under the same path. Its inference engine
        computes the features; for `auto`, which may choose another in each process, it is `tf_graph`.
      workdir: Directory of the run; empty for the backbone of the config.
      options: Options of the pipelines, see `run_parts`.

    Raises:
      DataError: Nothing tells whether the images of the source change, so that no inspection of them is remembered.
      ConfigError: Beam does not know an option.
      WorkdirError: A pipeline fails, or the cache has no room.
    """
    config = copy.deepcopy(config)
    if config.cache.inference_engine == "auto":
        config.cache.inference_engine = "tf_graph"
    source = _opened(config)
    require_images(source.noun, command="beam")
    if source.stamps() is None:
        raise DataError(
            f"beam: expected files whose changes can be seen, so that each process knows them. Received: {source.name}. "
            "Use a folder, tar or TFRecord files; or leave --beam out."
        )
    run_parts(_parts(not_looked_at(source, config)), LookAtPart(config), options)
    inspection, embedder = inspect_as(source, config), chosen_embedder(workdir, config.model)
    decodable = np.flatnonzero(inspection.decodable)
    missing = without_features(embedder, source, inspection, decodable, config)
    folder = cache_folder(config.cache.folder)
    told = json.dumps([source.name, embedder.identity])
    caches = folder / "beam" / hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    run_parts(_parts(missing), EmbedPart(config, workdir, caches), options)
    for cache in sorted(caches.glob("*")):
        FeatureCache(folder, limit_gib=config.cache.limit_gib).take_over(cache)


def _parts(indices: np.ndarray) -> Iterator[_Part]:
    for number, first in enumerate(range(0, len(indices), _IMAGES)):
        yield number, indices[first : first + _IMAGES].tolist()


def _opened(config: TransferConfig) -> Source:
    return open_unlabelled(config.data.source, SourceOptions.of(config))


def _with_cache(config: TransferConfig, folder: pathlib.Path) -> TransferConfig:
    other = copy.deepcopy(config)
    other.cache.folder = str(folder)
    return other
