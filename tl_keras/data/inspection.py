"""One look at every image before training: what cannot be read, and what would make the measured accuracy wrong."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.data.base import Source
from tl_keras.data.class_names import alike
from tl_keras.data.decoding import decode_image
from tl_keras.data.progress_bar import progress_bar
from tl_keras.errors import DataError

# Images handed from TensorFlow to Python at a time.
_BATCH = 64
_NAMES_SHOWN = 10
_FEW_IMAGES = 5
_IMBALANCE = 10


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was seen; one entry an image in every array.

    Attributes:
      sha256: str (n,), hash of the file, or of the shape and pixels of an array; empty where it cannot be read.
      decodable: bool (n,); the others take no part in training and evaluation.
      heights: int64 (n,), pixels; 0 where not decodable.
      widths: int64 (n,), pixels; 0 where not decodable.
      only_jpegs: Whether all that are decodable are JPEG files.
      undecodable: The ids of those that are not decodable.
      findings: One-line sentences for the user.
      data_hash: sha256 over content, class and declared split of all images, whatever their names and order.
    """

    sha256: np.ndarray
    decodable: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    only_jpegs: bool
    undecodable: tuple[str, ...]
    findings: tuple[str, ...]
    data_hash: str

    def to_json(self) -> dict[str, Any]:
        """Returns the summary as JSON values; nothing in it is as long as the data, save the names of bad files."""
        heights, widths = self.heights[self.decodable], self.widths[self.decodable]
        return {
            "images": len(self.decodable),
            "undecodable": list(self.undecodable),
            "heights": {"min": int(heights.min()), "median": float(np.median(heights)), "max": int(heights.max())},
            "widths": {"min": int(widths.min()), "median": float(np.median(widths)), "max": int(widths.max())},
            "findings": list(self.findings),
            "data_hash": self.data_hash,
        }


def inspect_source(source: Source, *, show_progress: bool = False) -> Inspection:
    """Reads, hashes and decodes every image once, with the operations that training uses.

    Args:
      source: The images.
      show_progress: Whether to show a bar on stderr.

    Returns:
      What was seen.

    Raises:
      DataError: Fewer than two classes have a decodable image.
    """
    hashes, heights, widths, jpegs = _read_all(source, show_progress=show_progress)
    decodable = heights > 0
    undecodable = tuple(source.ids[index] for index in np.flatnonzero(~decodable).tolist())
    counts = np.bincount(source.labels[decodable], minlength=len(source.class_names))
    _require_two_classes(source, counts, undecodable)
    findings = [
        *_undecodable_finding(undecodable),
        *_class_size_findings(source.class_names, counts),
        *_shared_content_findings(source, hashes),
        *(f"classes whose names differ little, and may be one: {names}" for names in alike(source.class_names)),
    ]
    return Inspection(
        sha256=hashes,
        decodable=decodable,
        heights=heights,
        widths=widths,
        only_jpegs=bool(jpegs[decodable].all()),
        undecodable=undecodable,
        findings=tuple(findings),
        data_hash=_data_hash(source, hashes),
    )


def _read_all(source: Source, *, show_progress: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the content hashes, heights, widths and which are JPEG files; sides of 0 for what does not decode."""
    n = len(source)
    hashes: np.ndarray = np.full(n, "", "U64")
    heights: np.ndarray = np.zeros(n, np.int64)
    widths: np.ndarray = np.zeros(n, np.int64)
    jpegs: np.ndarray = np.zeros(n, bool)

    def measure(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        image = element["image"]
        is_jpeg = tf.io.is_jpeg(image) if image.dtype == tf.string else tf.constant(False)
        return element["index"], image, tf.shape(decode_image(image)), is_jpeg

    # An image that raises is passed over; it is recognised by its absence.
    measured = source.images(np.arange(n), then=measure).ignore_errors()
    batches = measured.batch(_BATCH).prefetch(1).as_numpy_iterator()
    with progress_bar("looking at the images", images=n, shown=show_progress) as bar:
        for indices, images, shapes, are_jpegs in batches:
            hashes[indices] = [_content_hash(image) for image in images]
            heights[indices], widths[indices], jpegs[indices] = shapes[:, 0], shapes[:, 1], are_jpegs
            bar.update(len(indices))
    for index in np.flatnonzero(heights == 0):
        hashes[index] = _hash_if_readable(source, int(index))
    return hashes, heights, widths, jpegs


def _content_hash(image: bytes | np.ndarray) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def _hash_if_readable(source: Source, index: int) -> str:
    try:
        return _content_hash(source.encoded_image(index))
    except tf.errors.OpError:
        return ""


def _require_two_classes(source: Source, counts: np.ndarray, undecodable: tuple[str, ...]) -> None:
    found = [name for name, count in zip(source.class_names, counts, strict=True) if count]
    if len(found) < 2:
        received = f"only {found[0]}" if found else "none"
        bad = f" ({len(undecodable)} of {len(source)} images cannot be decoded)" if undecodable else ""
        raise DataError(
            f"{source.name}: expected images of at least two classes. Received {received}{bad}. "
            "Add images of what is to be told apart."
        )


def _undecodable_finding(undecodable: tuple[str, ...]) -> Iterable[str]:
    if undecodable:
        yield f"{len(undecodable)} images cannot be decoded and are left out: {_shown(undecodable)}"


def _class_size_findings(class_names: Sequence[str], counts: np.ndarray) -> Iterable[str]:
    few = [f"{class_names[label]} ({counts[label]})" for label in np.flatnonzero(counts < _FEW_IMAGES).tolist()]
    if few:
        yield f"classes with fewer than {_FEW_IMAGES} images: {_shown(few)}"
    smallest = int(np.argmin(np.where(counts > 0, counts, counts.max())))
    largest = int(np.argmax(counts))
    if counts[largest] > _IMBALANCE * counts[smallest]:
        yield (
            f"the classes are imbalanced: {counts[largest]} images of {class_names[largest]}, "
            f"{counts[smallest]} of {class_names[smallest]}"
        )


def _shared_content_findings(source: Source, hashes: np.ndarray) -> Iterable[str]:
    """Yields a sentence where equal images are in two declared splits, and one where they have two labels."""
    _, content, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    copies: dict[int, list[int]] = {}
    for index in np.flatnonzero((counts[content] > 1) & (hashes != "")).tolist():
        copies.setdefault(int(content[index]), []).append(index)
    for column, meaning in (
        (source.declared_splits, "in two splits, so that the measured accuracy is too high"),
        (source.labels, "under two labels"),
    ):
        found = [
            " = ".join(source.ids[index] for index in indices)
            for indices in copies.values()
            if len(np.unique(column[indices])) > 1
        ]
        if found:
            yield f"same content {meaning}, {len(found)} times: {_shown(found)}"


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _data_hash(source: Source, hashes: np.ndarray) -> str:
    lines = sorted(
        f"{content}\t{source.class_names[label]}\t{split}\n"
        for content, label, split in zip(hashes, source.labels, source.declared_splits, strict=True)
    )
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
