"""Holds images in memory as pixels, so that they are decoded once and not in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.data.base import RandomAccessSource, Source
from tl_keras.data.decoding import KnownFile
from tl_keras.data.inspection import Inspection
from tl_keras.data.order import on_host

# Function that decodes an image, as `tl_keras.data.decoding.decode_image` takes it, to uint8 (height, width, 3).
Decode = Callable[[tf.Tensor | KnownFile], tf.Tensor]


def held_decoded(
    source: Source, indices: np.ndarray, inspection: Inspection, *, decode: Decode, limit_gib: float
) -> Source:
    """Returns the source with some images decoded and in memory, or unchanged if they are pixels or texts already, or too many.

    Args:
      source: The images.
      indices: int64 (k,), images that are read in every epoch; all can be decoded.
      inspection: Inspection of the source, which knows the size of every image.
      decode: Function that decodes one image.
      limit_gib: Largest size of the pixels in GiB, at one byte per value. It also affects the order of a stream of records,
        which is shuffled in blocks but fully in memory, so the same limit gives the same run.
    """
    if source.noun == "text":
        return source
    nbytes = 3 * np.sum(inspection.heights[indices] * inspection.widths[indices])
    is_encoded = source.images(indices).element_spec["image"].dtype == tf.string
    return DecodedSource(source, indices, decode) if is_encoded and nbytes <= limit_gib * 2**30 else source


class DecodedSource(RandomAccessSource):
    """A source with some images of another source decoded and in memory; the rest are read from there.

    Args:
      source: The other source.
      indices: int64 (k,), images to hold; all can be decoded.
      decode: Function that decodes one image.
    """

    def __init__(self, source: Source, indices: np.ndarray, decode: Decode):
        super().__init__(
            name=source.name,
            class_names=source.class_names,
            ids=source.ids,
            labels=source.labels,
            declared_splits=source.declared_splits,
            notes=source.notes,
        )
        self._source = source
        self._positions = np.full(len(source), -1)
        self._positions[np.sort(indices)] = np.arange(len(indices))
        # Images differ in size; serialised, they fit into one tensor together with their shapes.
        decoded = source.images(indices, then=lambda element: tf.io.serialize_tensor(decode(source.decodable(element))))
        with tf.device("CPU:0"):
            self._pixels = tf.stack(list(decoded))

    def images(
        self,
        indices: np.ndarray,
        *,
        shuffle_seed: tf.Tensor | None = None,
        positions: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        then: Callable[[dict[str, tf.Tensor]], Any] | None = None,
    ) -> tf.data.Dataset:
        """Implements `Source.images`."""
        held = np.all(self._positions[indices] >= 0)
        read = super().images if held else self._source.images
        return read(indices, shuffle_seed=shuffle_seed, positions=positions, weights=weights, then=then)

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`."""
        position = tf.gather(on_host(self._positions), index)
        return tf.ensure_shape(tf.io.parse_tensor(tf.gather(self._pixels, position), tf.uint8), (None, None, 3))

    def decodable(self, element: dict[str, tf.Tensor]) -> tf.Tensor | KnownFile:
        """Implements `Source.decodable`: of the images that are read from the other source, what it knows of them."""
        image = element["image"]
        return self._source.decodable(element) if image.dtype == tf.string else image

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        return self._source.encoded_image(index)
