"""Inspects every image before training: finds unreadable images, and what would make the measured accuracy wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS, TransferConfig
from tl_keras.console import number_of
from tl_keras.data.base import Source
from tl_keras.data.class_names import alike, as_missing
from tl_keras.data.decoding import decode_image, kind_of
from tl_keras.data.exif import orientation_of, unsigned_bytes
from tl_keras.data.image_header import reason_not_to_decode
from tl_keras.data.inspection_memory import NO_FILE, InspectionMemory, Looks
from tl_keras.data.labelling import shown
from tl_keras.data.progress_bar import progress_bar
from tl_keras.errors import DataError
from tl_keras.user_folders import cache_folder

# Number of images handed from TensorFlow to Python at a time.
_BATCH = 64
# Largest number of bad files that are named in result.json.
_MOST_NAMES = 1000
# Step of the rows and columns that are compared first.
_STRIDE = 16
_SEVERAL = " (where an image has several, use --task=multi_label)"
# Largest number of bits of a camera or scanner that stores its values unscaled in 16 bits.
_DEVICE_BITS = 14


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files become pixels, and which files do not.

    Attributes:
      background: Background as in `tl_keras.data.decoding.decode_image`.
      significant_bits: Bits as in `tl_keras.data.decoding.decode_image`; 0 means 16, and refuses files that all use fewer.
      max_pixels: Largest number of pixels of an image; larger images are left out.
    """

    background: str = "white"
    significant_bits: int = 0
    max_pixels: int = DEFAULT_MAX_PIXELS

    @classmethod
    def of(cls, config: TransferConfig) -> Reading:
        """Returns the settings of a config."""
        return cls(config.model.background, config.model.significant_bits, config.data.max_pixels)


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The findings, with one entry per image in every array.

    Attributes:
      sha256: str (n,), hash of the file, or of the shape and pixels of an array; empty if it cannot be read.
      decodable: bool (n,); the other images take no part in training and evaluation.
      heights: int64 (n,), pixels, or words of a text; 0 if not decodable.
      widths: int64 (n,), pixels, or 1 for a text; 0 if not decodable.
      file_kinds: Kinds of the decodable files, of `tl_keras.data.decoding.FILE_KINDS`; empty if some are no files.
      only_upright: Whether none of them has an EXIF orientation that turns it.
      undecodable: Ids of the images that are not decodable.
      reasons: For each of them, words that complete "12 images are ..."; empty for a damaged file.
      findings: One-line sentences for the user.
      data_hash: sha256 over content, class and declared split of all images, independent of names and order.
    """

    sha256: np.ndarray
    decodable: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    file_kinds: frozenset[str]
    only_upright: bool
    undecodable: tuple[str, ...]
    reasons: tuple[str, ...]
    findings: tuple[str, ...]
    data_hash: str

    def known(self, source: Source) -> Source:
        """Returns the inspected source, marked with the facts about its files that make reading faster."""
        return source.of_kinds(self.file_kinds, only_upright=self.only_upright) if self.file_kinds else source

    def left_out(self) -> list[str]:
        """Returns a sentence for each reason why images cannot be decoded, with their number and names."""
        return list(sentences_of_left_out(self.undecodable, self.reasons))

    def to_json(self) -> dict[str, Any]:
        """Returns the summary as JSON values, with the names of at most 1,000 bad files."""
        heights, widths = self.heights[self.decodable], self.widths[self.decodable]
        return {
            "images": len(self.decodable),
            "undecodable": list(self.undecodable[:_MOST_NAMES]),
            "undecodable_count": len(self.undecodable),
            "heights": {"min": int(heights.min()), "median": float(np.median(heights)), "max": int(heights.max())},
            "widths": {"min": int(widths.min()), "median": float(np.median(widths)), "max": int(widths.max())},
            "findings": list(self.findings),
            "data_hash": self.data_hash,
        }


AS_USUAL = Reading()


def inspect_source(
    source: Source,
    reading: Reading = AS_USUAL,
    *,
    remembered_in: pathlib.Path | None = None,
    show_progress: bool = False,
) -> Inspection:
    """Reads, hashes and decodes every image once, with the operations that training uses; of texts, counts the words.

    Args:
      source: The images.
      reading: Settings for turning files into pixels.
      remembered_in: Directory of the cache that remembers what was read of each file; None reads all.
      show_progress: Whether to show a progress bar on stderr.

    Returns:
      The findings.

    Raises:
      DataError: Fewer than two classes have a decodable image, or 16-bit files use fewer bits and `significant_bits` is 0.
    """
    is_text = source.noun == "text"
    if is_text:
        looks = _look_at_texts(source)
    else:
        memory = None if remembered_in is None else _memory(source, reading, remembered_in)
        looks = _look_at_all(source, reading, memory, show_progress=show_progress)
    decodable = looks.heights > 0
    undecodable = tuple(source.ids[index] for index in np.flatnonzero(~decodable).tolist())
    reasons = tuple(looks.reasons[~decodable].tolist())
    labels = source.labels[decodable]
    bad = _why_undecodable(source, undecodable, looks.reasons)
    source.labelling.require_enough(source.name, source.class_names, labels, why=bad)
    if not reading.significant_bits:
        _require_all_bits(source, looks.deepest)
    findings = [
        *sentences_of_left_out(undecodable, reasons, noun=source.noun),
        *_one_colour_finding(source, looks.of_one_colour),
        *source.labelling.findings(source.class_names, labels),
        *_shared_content_findings(source, looks.hashes if looks.alike is None else looks.alike),
        *(f"classes whose names differ little, and may be one: {names}" for names in alike(source.class_names)),
        *_missing_label_findings(source),
    ]
    return Inspection(
        sha256=looks.hashes,
        decodable=decodable,
        heights=looks.heights,
        widths=looks.widths,
        file_kinds=looks.file_kinds(),
        only_upright=bool((looks.orientations[decodable] == 1).all()),
        undecodable=undecodable,
        reasons=reasons,
        findings=tuple(findings),
        data_hash=_data_hash(source, looks.hashes),
    )


def inspect_as(source: Source, config: TransferConfig) -> Inspection:
    """Inspects a source as a config reads images, with a progress bar; what the config's cache remembers is not read again.

    Raises:
      DataError: See `inspect_source`.
    """
    memory = cache_folder(config.cache.folder)
    return inspect_source(source, Reading.of(config), remembered_in=memory, show_progress=True)


def look_at_part(source: Source, config: TransferConfig, indices: np.ndarray, *, part: int) -> None:
    """Reads some images, and leaves what is seen to `inspect_as`, of whichever process.

    Args:
      source: The images.
      config: Config that says how they are read, and where the cache is.
      indices: int64 (k,), the images.
      part: Number of the part, by which it is kept.
    """
    reading, looks = Reading.of(config), Looks.empty(len(source))
    _look_at(source, reading, looks, indices, show_progress=False)
    _memory(source, reading, cache_folder(config.cache.folder)).remember(looks, part=part)


def not_looked_at(source: Source, config: TransferConfig) -> np.ndarray:
    """Returns the images, int64 (k,), that the config's cache does not remember and `inspect_as` would read."""
    return _memory(source, Reading.of(config), cache_folder(config.cache.folder)).recall(Looks.empty(len(source)))


def _memory(source: Source, reading: Reading, folder: pathlib.Path) -> InspectionMemory:
    return InspectionMemory(folder, source, dataclasses.asdict(reading))


def _look_at_all(source: Source, reading: Reading, memory: InspectionMemory | None, *, show_progress: bool) -> Looks:
    """Returns the facts on all images, of which those that are not remembered are read."""
    looks = Looks.empty(len(source))
    missing = memory.recall(looks) if memory else np.arange(len(source))
    if len(missing):
        _look_at(source, reading, looks, missing, show_progress=show_progress)
    if memory and (len(missing) or memory.has_parts):
        memory.remember(looks)
    return looks


def _look_at(source: Source, reading: Reading, looks: Looks, missing: np.ndarray, *, show_progress: bool) -> None:
    """Fills in the facts on some images."""

    def reason(file: bytes) -> bytes:
        return reason_not_to_decode(file, max_pixels=reading.max_pixels).encode()

    def look(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        image = element["image"]
        if image.dtype != tf.string:
            seen = _seen(decode_image(image, background=reading.background))
            return (
                element["index"],
                image,
                tf.constant(b""),
                *seen,
                tf.constant(NO_FILE),
                tf.constant(1),
                tf.constant(0),
            )
        reason_not_to = tf.ensure_shape(tf.numpy_function(reason, [image], tf.string, stateful=False), ())

        def decoded() -> tuple[tf.Tensor, ...]:
            seen = _seen(decode_image(image, background=reading.background))
            return *seen, kind_of(image), orientation_of(image), _largest_deep_value(image)

        def passed_over() -> tuple[tf.Tensor, ...]:
            return tf.zeros(3, tf.int32), tf.constant(False), tf.constant(NO_FILE), tf.constant(1), tf.constant(0)

        return element["index"], image, reason_not_to, *tf.cond(reason_not_to == b"", decoded, passed_over)

    # An image that raises an error is skipped and recognised by its absence.
    looked_at = source.images(missing, then=look).ignore_errors()
    batches = looked_at.batch(_BATCH).prefetch(1).as_numpy_iterator()
    with progress_bar("inspecting the images", images=len(missing), shown=show_progress) as bar:
        for indices, images, reasons, shapes, of_one_colour, kinds, orientations, deepest in batches:
            looks.hashes[indices] = [_content_hash(image) for image in images]
            looks.reasons[indices] = [text.decode() for text in reasons]
            looks.heights[indices], looks.widths[indices] = shapes[:, 0], shapes[:, 1]
            looks.of_one_colour[indices], looks.kinds[indices] = of_one_colour, kinds
            looks.orientations[indices], looks.deepest[indices] = orientations, deepest
            bar.update(len(indices))
    for index in missing[looks.hashes[missing] == ""]:
        looks.hashes[index] = _hash_if_readable(source, int(index))


def _look_at_texts(source: Source) -> Looks:
    """Returns the facts read from texts: a text without a character that is seen is left out."""
    looks = Looks.empty(len(source))
    looks.alike = looks.hashes.copy()
    for index in range(len(source)):
        content = source.encoded_image(index)
        text = content.decode("utf-8", "replace")
        looks.hashes[index] = _content_hash(content)
        letters = "".join(each for each in unicodedata.normalize("NFKD", text).casefold() if each.isalnum())
        looks.alike[index] = _content_hash((letters or text).encode())
        looks.heights[index] = len(text.split())
        looks.reasons[index] = "" if text.split() else "empty"
    looks.widths[:] = looks.heights > 0
    return looks


def _seen(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the shape of an image, and whether it has one colour only, which a few of its pixels nearly always refute."""
    some = pixels[::_STRIDE, ::_STRIDE]
    is_likely = tf.reduce_all(some == pixels[0, 0])
    return tf.shape(pixels), tf.cond(
        is_likely, lambda: tf.reduce_all(pixels == pixels[0, 0]), lambda: tf.constant(False)
    )


def _largest_deep_value(file: tf.Tensor) -> tf.Tensor:
    """Returns the largest value of a 16-bit PNG file, int32 (); 0 for another file."""
    is_deep = (tf.strings.substr(file, 0, 4) == b"\x89PNG") & (unsigned_bytes(file, 24, 1)[0] == 16)

    def largest() -> tf.Tensor:
        return tf.cast(tf.reduce_max(tf.io.decode_png(file, channels=3, dtype=tf.uint16)), tf.int32)

    return tf.cond(is_deep, largest, lambda: tf.constant(0))


def _content_hash(image: bytes | np.ndarray) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def _hash_if_readable(source: Source, index: int) -> str:
    try:
        return _content_hash(source.encoded_image(index))
    except (tf.errors.OpError, OSError):  # also of what is read in Python
        return ""


def _why_undecodable(source: Source, undecodable: Sequence[str], reasons: np.ndarray) -> str:
    """Returns, in brackets, how many images cannot be decoded and why; empty if all can."""
    if not undecodable:
        return ""
    why = sorted({f"; some are {reason}" for reason in reasons if reason})
    return f" ({len(undecodable)} of {number_of(len(source), 'image')} cannot be decoded{''.join(why)})"


def _require_all_bits(source: Source, deepest: np.ndarray) -> None:
    """Raises a DataError if 16-bit files come from a device with fewer bits, since they would all be nearly black."""
    bits = int(deepest.max()).bit_length()
    if 8 <= bits <= _DEVICE_BITS:
        deep = np.flatnonzero(deepest)
        raise DataError(
            f"{source.name}: expected 16-bit PNG files whose values reach up to 65,535. Received {len(deep)} whose largest "
            f"value is {deepest.max():,}, the first is {source.ids[int(deep[0])]}. Use --significant_bits={bits}, "
            "or 16 where they are meant to be so dark."
        )


def sentences_of_left_out(undecodable: Sequence[str], reasons: Sequence[str], *, noun: str = "image") -> Iterable[str]:
    """Yields a sentence for damaged files, and one for each other reason."""
    for reason in sorted(set(reasons)):
        names = [name for name, why in zip(undecodable, reasons, strict=True) if why == reason]
        verb = "is" if len(names) == 1 else "are"
        what = f"{verb} {reason}, and {verb}" if reason else f"cannot be decoded and {verb}"
        yield f"{number_of(len(names), noun)} {what} left out: {shown(names)}"


def _one_colour_finding(source: Source, of_one_colour: np.ndarray) -> Iterable[str]:
    if of_one_colour.any():
        names = [source.ids[index] for index in np.flatnonzero(of_one_colour).tolist()]
        yield f"{number_of(len(names), 'image')} of one colour only, kept all the same: {shown(names)}"


def _missing_label_findings(source: Source) -> Iterable[str]:
    if source.classes_are_given:
        return
    members = source.labelling.members(source.labels, source.class_names)
    what = "label" if source.labelling.kind == "labels" else "class"
    for name in as_missing(name for name, indices in members.items() if len(indices)):
        yield (
            f"a {what} named {name}, as programs write a missing label, of {number_of(len(members[name]), 'image')}, the first is "
            f"{source.ids[int(members[name][0])]}: leave {'it' if what == 'label' else 'these'} out where it is none"
        )


def _shared_content_findings(source: Source, hashes: np.ndarray) -> Iterable[str]:
    """Yields a sentence if equal images are in two declared splits, if they have two labels, and on all other copies."""
    _, content, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    copies: dict[int, list[int]] = {}
    told: set[int] = set()
    for index in np.flatnonzero((counts[content] > 1) & (hashes != "")).tolist():
        copies.setdefault(int(content[index]), []).append(index)
    for column, meaning in (
        (source.declared_splits, "in two splits, so that the measured accuracy is too high"),
        (
            source.labels,
            f"under two labels{_SEVERAL if source.labelling.kind == 'class' and source.noun == 'image' else ''}",
        ),
    ):
        differ = [content for content, indices in copies.items() if len(np.unique(column[indices], axis=0)) > 1]
        if differ:
            names = [" = ".join(source.ids[index] for index in copies[content]) for content in differ]
            yield f"same content {meaning}, {number_of(len(differ), 'time')}: {shown(names)}"
        told.update(differ)
    others = [indices for content, indices in copies.items() if content not in told]
    if others and source.labels.size:
        more = sum(map(len, others)) - len(others)
        copied = "is a copy of another" if more == 1 else "are copies of others"
        example = " = ".join(source.ids[index] for index in others[0][:2])
        yield f"{number_of(more, source.noun)} {copied}, which stay together and count as one in intervals, such as {example}"


def _data_hash(source: Source, hashes: np.ndarray) -> str:
    lines = sorted(
        f"{content}\t{source.labelling.text(label, source.class_names)}\t{split}\n"
        for content, label, split in zip(hashes, source.labels, source.declared_splits, strict=True)
    )
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
