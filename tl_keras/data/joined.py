"""Joins images without labels to labelled images."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RandomAccessSource, Source
from tl_keras.data.inspection import Inspection, Reading, inspect_source
from tl_keras.errors import DataError


@dataclasses.dataclass(frozen=True)
class Joined:
    """Labelled images followed by images without labels.

    Attributes:
      source: All images; the labels of those that have none mean nothing.
      inspection: Inspection of the labelled ones, with an entry for each image in its arrays.
      unlabelled: Images without a label that can be decoded and are no copies of labelled ones, int64 (k,).
    """

    source: Source
    inspection: Inspection
    unlabelled: np.ndarray


class JoinedSource(RandomAccessSource):
    """Labelled images followed by images without labels.

    Args:
      labelled: Source with labels.
      unlabelled: Source without labels.
    """

    def __init__(self, labelled: RandomAccessSource, unlabelled: RandomAccessSource):
        no_labels = np.zeros((len(unlabelled), *labelled.labels.shape[1:]), labelled.labels.dtype)
        super().__init__(
            name=labelled.name,
            class_names=labelled.class_names,
            ids=[*labelled.ids, *(f"unlabelled:{each}" for each in unlabelled.ids)],
            labels=np.concatenate([labelled.labels, no_labels]),
            declared_splits=np.concatenate([labelled.declared_splits, np.full(len(unlabelled), "unused")]),
            groups=labelled.groups,
        )
        self._labelled, self._unlabelled = labelled, unlabelled
        if labelled.file_kinds and unlabelled.file_kinds:
            self.file_kinds = labelled.file_kinds | unlabelled.file_kinds
        self.only_upright = labelled.only_upright and unlabelled.only_upright

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`: an encoded file, which pixels become too."""
        count = len(self._labelled)
        return tf.cond(
            index < count,
            lambda: _as_file(self._labelled.read(index)),
            lambda: _as_file(self._unlabelled.read(index - count)),
        )

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        count = len(self._labelled)
        if index < count:
            return self._labelled.encoded_image(index)
        return self._unlabelled.encoded_image(index - count)

    def contents_revision(self) -> str | None:
        """Implements `Source.contents_revision`: that of the labelled images, which decides whether a run is the same."""
        return self._labelled.contents_revision()

    def revision(self) -> str | None:
        """Implements `Source.revision`: that of the labelled images."""
        return self._labelled.revision()


def with_unlabelled(
    labelled: Source,
    inspection: Inspection,
    unlabelled: Source,
    reading: Reading,
    *,
    remembered_in: pathlib.Path,
    described: str = "",
) -> Joined:
    """Joins images without labels to labelled ones, and leaves copies of the latter out.

    Args:
      labelled: Labelled images.
      inspection: Their inspection.
      unlabelled: Images whose labels are not known.
      reading: Settings for turning files into pixels.
      remembered_in: Directory of the cache that remembers what was read of each file.
      described: Description of the images without labels, which follows their number; empty to name their source.

    Raises:
      DataError: Some are texts, or records that are read in a stream.
    """
    for source in (labelled, unlabelled):
        if source.noun != "image" or not isinstance(source, RandomAccessSource):
            received = "texts" if source.noun != "image" else "records, which are read in their order"
            raise DataError(
                f"unlabelled: expected images in files or arrays, with and without labels. Received: {received}, of {source.name}. "
                "Leave unlabelled out."
            )
    assert isinstance(labelled, RandomAccessSource)
    found = inspect_source(unlabelled, reading, remembered_in=remembered_in, show_progress=True)
    known = found.known(unlabelled)
    assert isinstance(known, RandomAccessSource)
    copies = found.decodable & np.isin(found.sha256, inspection.sha256[inspection.decodable])
    columns = ("sha256", "decodable", "heights", "widths")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(inspection, name), getattr(found, name)]) for name in columns
    }
    chosen = np.flatnonzero(found.decodable & ~copies)
    remark = f"{number_of(len(chosen), 'image')} {described or f'without labels in {unlabelled.name}'}"
    left_out = f"; {copies.sum()} more, copies of labelled ones, left out" if copies.any() else ""
    source = JoinedSource(labelled, known)
    source.notes = (*labelled.notes, *unlabelled.notes, remark + left_out, *found.left_out())
    return Joined(source, dataclasses.replace(inspection, **joined), len(labelled) + chosen)


def _as_file(image: tf.Tensor) -> tf.Tensor:
    return image if image.dtype == tf.string else tf.io.encode_png(image)
