"""Makes an index of images by a run or a backbone, and embeds queries by the same network later."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib

import numpy as np

from tl_keras.advice.candidates import preferred_candidate
from tl_keras.config import ModelConfig, TransferConfig
from tl_keras.config.model_fields import OF_THE_FEATURES
from tl_keras.data.base import FileSource, Source, require_images
from tl_keras.data.inspection import Inspection, inspect_as
from tl_keras.errors import DataError
from tl_keras.probes.vectors import blocks
from tl_keras.search.index import VectorIndex, write_index
from tl_keras.training.embedding import Embedder, Embeddings, embed, embedder_of_backbone, embedder_of_run


@dataclasses.dataclass(frozen=True)
class IndexedImages:
    """Images with their features.

    Attributes:
      source: The images.
      inspection: Facts on all of them.
      indices: Images that can be decoded, int64 (n,), ascending.
      features: Their features, float32 (n, d), which are read from the cache in parts.
      embedder: Network that made them.
    """

    source: Source
    inspection: Inspection
    indices: np.ndarray
    features: Embeddings
    embedder: Embedder

    @functools.cached_property
    def names(self) -> list[str]:
        """Returns the name of each image."""
        return [self.source.ids[index] for index in self.indices.tolist()]


def chosen_embedder(workdir: str, config: ModelConfig) -> Embedder:
    """Returns the network of a run or, without one, the backbone of a config.

    Raises:
      DataError: It takes texts.
      TransferError: It cannot be loaded.
    """
    embedder = embedder_of_run(workdir) if workdir else embedder_of_backbone(config)
    require_images("image" if embedder.preprocess.image_size else "text", command="embed")
    return embedder


def usual_backbone(config: ModelConfig) -> ModelConfig:
    """Returns a config with the backbone that inspects images."""
    return preferred_candidate().choose(config)


def index_images(source: Source, embedder: Embedder, config: TransferConfig) -> IndexedImages:
    """Computes the features of every image that can be decoded, through the cache.

    Raises:
      DataError: No image can be decoded, or they are texts.
      WorkdirError: The cache has no room.
    """
    require_images(source.noun, command="embed")
    inspection = inspect_as(source, config)
    indices = np.flatnonzero(inspection.decodable)
    features = embed(embedder, inspection.known(source), inspection, indices, config)
    return IndexedImages(source, inspection, indices, features, embedder)


def write_images(images: IndexedImages, path: pathlib.Path, *, workdir: str, config: ModelConfig) -> None:
    """Writes the index of some images, with what is needed to ask it.

    Args:
      images: The images.
      path: File to write, see `tl_keras.search.index`.
      workdir: Directory of the run that embedded them; empty for the backbone of the config.
      config: That backbone.

    Raises:
      WorkdirError: The place is not writable.
    """
    inspection, rows = images.inspection, images.indices
    named = {name: getattr(config, name) for name in OF_THE_FEATURES}
    if pathlib.Path(config.backbone).is_file():
        named["backbone"] = str(pathlib.Path(config.backbone).resolve())
    about = {
        "network": images.embedder.name,
        "identity": images.embedder.identity,
        "made_with": {"workdir": str(pathlib.Path(workdir).resolve())} if workdir else named,
        "source": _place_of(images.source),
        "left_out": inspection.left_out(),
    }
    write_index(
        path,
        blocks(images.features),
        dimension=images.features[np.array([0])].shape[1],
        names=images.names,
        sizes=np.stack([inspection.heights[rows], inspection.widths[rows]], axis=1),
        about=about,
    )


def embedder_for(index: VectorIndex, *, workdir: str = "", backbone: str = "") -> Embedder:
    """Opens the network of an index again.

    Args:
      index: The index.
      workdir: Directory of its run, where it has moved; empty for the remembered one.
      backbone: Name of its backbone, in place of the remembered one.

    Raises:
      DataError: It is not the network that made the index.
      TransferError: It cannot be loaded.
    """
    made_with = {
        name: value for name, value in index.about["made_with"].items() if name in (*OF_THE_FEATURES, "workdir")
    }
    if workdir or backbone:
        made_with = {**made_with, "workdir": workdir, **({"backbone": backbone} if backbone else {})}
    run = made_with.pop("workdir", "")
    if not run and not made_with:
        raise DataError(
            f"index: expected {index.path} to say which network made it. Received: nothing. Use --workdir or --backbone."
        )
    try:
        embedder = chosen_embedder(run, ModelConfig(**made_with))
    except TypeError as error:
        raise DataError(f"index: expected {index.path} as embed writes it. Received: {error}.") from error
    index.require_same_network(embedder.identity, embedder.name)
    return embedder


def _place_of(source: Source) -> str:
    """Returns the folder that the names of a source are below, or its name."""
    if isinstance(source, FileSource) and len(source):
        path, name = source.path(0), source.ids[0]
        if path.endswith(os.sep + name):
            return str(pathlib.Path(path[: -len(name)]).resolve())
    return source.name


def remarks(images: IndexedImages) -> tuple[str, ...]:
    """Returns what was left out, and what listing the source remarked."""
    return (*images.source.notes, *images.inspection.left_out())
