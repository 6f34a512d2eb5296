"""Makes small grey pictures of images, which show whether two are copies, and keeps them in the cache of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tl_keras.advice.suspects import near_copies
from tl_keras.config import DEFAULT_SIGNIFICANT_BITS, TransferConfig
from tl_keras.data.base import Source
from tl_keras.data.decoding import decode_image
from tl_keras.data.inspection import Inspection
from tl_keras.data.progress_bar import progress_bar
from tl_keras.training.feature_cache import FeatureCache, FeatureRows, RowReader, RowSpec
from tl_keras.user_folders import cache_folder

# Side of the grey thumbnails in pixels: so small that re-encoding and resizing change nothing in them.
THUMBNAIL = 32

_BATCH = 256
# Half precision rounds a pixel by a thousandth and the correlation of two thumbnails by less than a millionth.
_SPEC = RowSpec(((THUMBNAIL * THUMBNAIL,),), "float16")


def copies_by_thumbnails(parts: Sequence[tuple[Source, Inspection, np.ndarray]], config: TransferConfig) -> np.ndarray:
    """Returns a number for each image, int64 (n,), that of the first exact or near copy of it by its thumbnail.

    Args:
      parts: Sets of images, one after the other: source, inspection, and int64 (k,), ascending, those that can be decoded.
      config: Config whose cache and background are used.

    Raises:
      WorkdirError: The cache's disk is full.
    """
    pictures = [thumbnails(*part, config) for part in parts]
    vectors = pictures[0] if len(parts) == 1 else np.concatenate([each[np.arange(len(each))] for each in pictures])
    contents = np.concatenate([inspection.sha256[rows] for _, inspection, rows in parts])
    sides = np.concatenate([np.minimum(found.heights, found.widths)[rows] for _, found, rows in parts])
    return near_copies(vectors, contents, comparable=sides >= THUMBNAIL)


class Thumbnails:
    """The thumbnails of some images, each as a vector of length 1 and mean 0; that of an image of one colour is 0.

    They are read from disk when they are asked for: those of a million images take 2 GB.

    Args:
      rows: Reader of the cache.
      positions: int64 (n,), position of each thumbnail in it.
    """

    def __init__(self, rows: RowReader, positions: np.ndarray):
        self._rows, self._positions = rows, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Returns the vectors of some rows, float32 (k, 1024)."""
        return self._rows(self._positions[rows])[0]


def thumbnails(
    source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig
) -> Thumbnails | np.ndarray:
    """Returns the thumbnails of some decodable images, in ascending order; those that the cache has are not made again.

    Args:
      source: The images.
      inspection: Hashes of their content, by which the cache finds them.
      indices: int64 (k,), ascending, the images.
      config: Config whose cache and background are used.

    Returns:
      The thumbnails; if the cache has no room for them, an array, float16 (k, 1024).

    Raises:
      WorkdirError: The cache's disk is full.
    """
    cache = FeatureCache(cache_folder(config.cache.folder), limit_gib=config.cache.limit_gib)
    model = config.model
    kind = {"thumbnail": "grey", "background": model.background, "significant_bits": model.significant_bits}
    rows = cache.rows(kind, _SPEC)
    keys = [bytes.fromhex(content) for content in inspection.sha256[indices].tolist()]
    found = rows.reader()
    missing = np.flatnonzero(found.find(keys) < 0)
    needed = _SPEC.nbytes_on_disk(len(keys))
    if len(missing):
        refused = cache.refusal(needed)
        if not refused:
            with rows.locked():
                refused = cache.make_room(_SPEC.nbytes_on_disk(len(missing)), needed=needed, keep=rows)
                if not refused:
                    missing = np.flatnonzero(rows.reader().find(keys) < 0)
                    _fill(rows, keys, indices, missing, source, config)
        if refused:
            return np.concatenate([vectors for _, vectors in _vectors(source, indices, config)])
        found = rows.reader()
    return Thumbnails(found, found.find(keys))


def _fill(
    rows: FeatureRows,
    keys: Sequence[bytes],
    indices: np.ndarray,
    missing: np.ndarray,
    source: Source,
    config: TransferConfig,
) -> None:
    """Adds the missing thumbnails, once for each content."""
    first = {keys[row]: row for row in reversed(missing.tolist())}
    wanted = indices[sorted(first.values())]
    key_of = dict(zip(indices.tolist(), keys, strict=True))
    with progress_bar("thumbnails, once", images=len(wanted)) as bar:
        for batch, vectors in _vectors(source, wanted, config):
            rows.append([key_of[index] for index in batch.tolist()], [vectors])
            bar.update(len(batch))


def _vectors(source: Source, indices: np.ndarray, config: TransferConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields indices, int64 (k,), and their thumbnails, float16 (k, 1024), in ascending order."""

    def shrink(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        bits = config.model.significant_bits or DEFAULT_SIGNIFICANT_BITS
        pixels = decode_image(source.decodable(element), background=config.model.background, significant_bits=bits)
        grey = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=-1, keepdims=True)
        return element["index"], tf.image.resize(grey, (THUMBNAIL, THUMBNAIL), antialias=True)

    for batch, grey in source.images(indices, then=shrink).batch(_BATCH).as_numpy_iterator():
        yield batch, unit_vectors(grey).astype(np.float16)


def unit_vectors(grey: np.ndarray) -> np.ndarray:
    """Returns pictures, float32 (k, ...), as vectors of mean 0 and length 1, float32 (k, d); of one colour, they are 0."""
    flat = grey.reshape(len(grey), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 0.5, flat / np.maximum(length, 1e-6), 0)
