"""Reads images in the tar files of WebDataset: the files of one example follow each other under one name."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tl_keras.data.base import RandomAccessSource, as_readable
from tl_keras.data.image_files import LeftOut, image_test
from tl_keras.data.label_rows import encode_rows
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.order import on_host
from tl_keras.data.shards import ids_of_files, matching_files, name_classes, read_names, splits_of_files
from tl_keras.data.stamps import revision_of_files
from tl_keras.errors import DataError

# Suffix of the file with an example's class, and the most bytes that a name of a class takes.
_LABEL, _MOST_LABEL_BYTES = "cls", 1000

_MOST_DIGITS = 18  # which int64 holds
_BETWEEN_LABELS = re.compile("[;|,\n]")


class _Place(NamedTuple):
    """An image in a tar file.

    Attributes:
      key: Name of the example.
      offset: Number of bytes before the image.
      size: Number of bytes of the image.
      label: Content of the file with its class; None if there is none.
    """

    key: str
    offset: int
    size: int
    label: str | None


class WebDatasetSource(RandomAccessSource):
    """Tar files of WebDataset (https://github.com/webdataset/webdataset): `KEY.jpg` beside `KEY.cls`, a number or a name.

    Several labels are separated by `;`, `|` or `,`, or on lines of their own.

    Where each image is in its file is read once; images are then read in any order, and nothing is unpacked. A file with a word
    such as train, val or test in its name declares that split; a `labels.txt` beside the files lists the names of classes.

    Args:
      pattern: Pattern of the files, for example "photos/*.tar", or the path of one file.
      options: Meanings of file names that declare no split.
      labelled: Whether a class is needed; without it, `labels` are int64 (n, 0).

    Raises:
      DataError: No file matches, some files declare a split and others do not, a file is damaged or compressed, an image has
        no class, or `labels.txt` does not fit them.
    """

    def __init__(self, pattern: str, options: SourceOptions = NO_OPTIONS, *, labelled: bool = True):
        name = f"webdataset:{pattern}"
        files = matching_files(pattern)
        if not files:
            raise DataError(f"{name}: expected tar files. Received a pattern that no file fits. Check the path.")
        splits, notes = splits_of_files(name, files, options) if labelled else (dict.fromkeys(files, ""), [])
        files, left_out = [file for file in files if splits[file] != "unused"], LeftOut()
        places = [_places_in(file, left_out) for file in files]
        if not any(places):
            more = "".join(f" ({note})" for note in left_out.notes()[:1])
            raise DataError(
                f"{name}: expected images in the tar files. Received none{more}. Write them as KEY.jpg and KEY.cls."
            )
        counts = [len(found) for found in places]
        class_names, labels = (
            _classes(name, files, places, options) if labelled else ((), np.zeros((sum(counts), 0), np.int64))
        )
        super().__init__(
            name=name,
            class_names=class_names,
            ids=ids_of_files(files, ([place.key for place in found] for found in places)),
            labels=labels,
            declared_splits=np.repeat([splits[file] for file in files], counts),
            notes=(*notes, *left_out.notes()),
        )
        self._cache_folder = options.cache_folder
        self._files = [os.fsencode(file) for file in files]
        self._file_of = np.repeat(np.arange(len(files)), counts)
        self._offsets, self._sizes = (
            np.array([getattr(place, field) for found in places for place in found], np.int64)
            for field in ("offset", "size")
        )

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`."""
        places = (tf.gather(on_host(column), index) for column in (self._file_of, self._offsets, self._sizes))
        file = tf.ensure_shape(tf.numpy_function(self._part, list(places), tf.string, stateful=False), ())
        return as_readable(file, cache=self._cache_folder) if self.may_need_conversion else file

    def _part(self, number: int, offset: int, size: int) -> bytes:
        """Returns a part of a file."""
        with open(self._files[number], "rb") as file:
            file.seek(offset)
            return file.read(size)

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        return self.read(tf.constant(index, tf.int64)).numpy()

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return revision_of_files(self._files)


def _places_in(file: Path, left_out: LeftOut) -> list[_Place]:
    """Returns where the images of a tar file are; an example's name is that of its files up to the first dot."""
    found: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    is_image = image_test()
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # which would grow with the file
                folder, _, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if member.isdir():
                    continue
                if name.startswith("."):  # as macOS adds to each file
                    left_out.add("hidden files in the tar file", f"{file.name}:{member.name}")
                elif not member.isfile() or member.issparse():
                    left_out.add("links and devices in the tar file", f"{file.name}:{member.name}")
                elif is_image(f"x.{suffix}") and "." not in suffix and key not in found:
                    found[key] = (member.offset_data, member.size)
                elif is_image(f"x.{suffix}") and "." not in suffix:
                    left_out.add("second images of one example", f"{file.name}:{member.name}")
                elif suffix.lower() == _LABEL and member.size <= _MOST_LABEL_BYTES:
                    content = archive.extractfile(member)
                    labels[key] = content.read().decode("utf-8-sig", "replace").strip() if content else ""
                else:
                    left_out.other_files[f".{suffix}"] += 1
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"webdataset:{file}: expected a tar file that is not compressed. Received one that cannot be read ({error!s:.100}). "
            "Unpack its compression, or write it again."
        ) from error
    for key in [key for key in labels if key not in found]:
        left_out.add("classes without an image", f"{file.name}:{key}")
    return [_Place(key, offset, size, labels.get(key)) for key, (offset, size) in found.items()]


def _classes(
    name: str, files: list[Path], places: list[list[_Place]], options: SourceOptions
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the class names and the position of every label among them, int64 (n,); several labels as int64 (n, labels)."""
    several = options.label_kind == "labels"
    texts: list[str] = []
    for file, found in zip(files, places, strict=True):
        for place in found:
            if not place.label and not (several and place.label is not None):
                raise DataError(
                    f"{name}: expected a class for each image, in KEY.{_LABEL}. Received none for {file.name}:{place.key}. "
                    "Add it, or use the images without labels: python -m tl_keras.embed."
                )
            texts.append(place.label)
    names_file = files[0].parent / "labels.txt"
    if several:
        lists = [[part.strip() for part in _BETWEEN_LABELS.split(text) if part.strip()] for text in texts]
        return encode_rows(name, lists, "labels", read_names(names_file))
    are_numbers = all(text.isdecimal() and len(text) <= _MOST_DIGITS for text in texts)
    return name_classes(name, names_file, np.array(texts, np.int64 if are_numbers else str))
