"""Defines what every source of images offers, and the two ways of reading one.

```
Source
├── RandomAccessSource   any image at any time: folders, CSV, arrays; the indices are shuffled, fully
└── RecordSource         streams of records: TFRecord, TFDS; unwanted records are skipped, blocks are shuffled
```
"""

from __future__ import annotations

import abc
import copy
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.console import printable
from tl_keras.data import conversion
from tl_keras.data.decoding import KnownFile
from tl_keras.data.groups import Groups
from tl_keras.data.labelling import Labelling, labelling_of
from tl_keras.data.order import on_host, ordered, shuffle_in_blocks
from tl_keras.data.stamps import digests, revision_of_files, stamps_of_files
from tl_keras.errors import DataError

# Bytes of a shuffled stream of records that are held in memory; reading ahead doubles them.
_BLOCK_BYTES = 128 * 2**20
_MAX_BLOCK_IMAGES = 16_384

# A label that is an integer, of as many digits as Python reads.
_INTEGER = re.compile(r"-?\d{1,4300}")

# Number of images read and decoded at a time: while half of them wait for the disk, the others keep all processors busy.
_CALLS = 2 * (os.cpu_count() or 1)


class Source(abc.ABC):
    """Labelled images, listed but not read; every column has one entry per image, in storage order.

    Attributes:
      name: Name that the user gave.
      class_names: Names, one per class; a label is a position among them. Of images with several labels or numbers, their names.
      ids: Names, one per image, unique and stable: a relative path, `file.tfrecord:17`, `train:17`, `array:17`.
      labels: int64 (n,), 0 to len(class_names) - 1; of images with several labels int64 (n, labels), 1, 0 or -1 for not known;
        of numbers float64 (n, columns).
      declared_splits: str (n,), `train`, `validation`, `test`, empty if the source does not say, or `unused`.
      groups: Groups of images that stay in one split, or None.
      notes: One-line remarks for the user, made while listing.
      noun: Word for one of them: `image`, or `text`, which is read as a string in UTF-8.
      file_kinds: Kinds, of `tl_keras.data.decoding.FILE_KINDS`, that all files are known to have; None where it is not known.
      only_upright: Whether it is known too that none of them has an EXIF orientation that turns it.
      classes_are_given: Whether the user named the classes, to put them in order.
    """

    noun = "image"
    file_kinds: frozenset[str] | None = None
    only_upright = False
    classes_are_given = False

    def __init__(
        self,
        *,
        name: str,
        class_names: Iterable[str],
        ids: Sequence[str],
        labels: np.ndarray,
        declared_splits: np.ndarray,
        groups: Groups | None = None,
        notes: Iterable[str] = (),
    ):
        self.name = name
        self.class_names = tuple(class_names)
        _require_names(name, self.class_names)
        self.ids = ids
        self.labels: np.ndarray = labels.astype(np.float64 if labels.dtype.kind == "f" else np.int64)
        self.declared_splits = declared_splits
        self.groups = groups
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelling(self) -> Labelling:
        """Returns what its labels are."""
        return labelling_of(self.labels)

    def of_kinds(self, kinds: frozenset[str], *, only_upright: bool) -> Source:
        """Returns the same source marked as having only files of these kinds, apart from files that cannot be decoded."""
        known = copy.copy(self)
        known.file_kinds, known.only_upright = kinds, only_upright
        return known

    @property
    def may_need_conversion(self) -> bool:
        """Returns whether a file may be of a type that is converted to PNG when it is read."""
        return self.file_kinds is None or "PNG" in self.file_kinds

    def decodable(self, element: dict[str, tf.Tensor]) -> tf.Tensor | KnownFile:
        """Returns the image of an element of `images` in the form that `tl_keras.data.decoding.decode_image` takes."""
        if self.file_kinds is None:
            return element["image"]
        return KnownFile(element["image"], self.file_kinds, self.only_upright)

    @abc.abstractmethod
    def images(
        self,
        indices: np.ndarray,
        *,
        shuffle_seed: tf.Tensor | None = None,
        positions: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        then: Callable[[dict[str, tf.Tensor]], Any] | None = None,
    ) -> tf.data.Dataset:
        """Reads some images, each once, or as often as it weighs.

        Args:
          indices: int64 (k,), indices of the images, in any order.
          shuffle_seed: int64 scalar, possibly symbolic, which alone decides the order, whatever the global seeds. None means
            storage order, which is ascending indices.
          positions: int64 (m,), ascending, positions of the wanted images in that order; None for all.
          weights: float64 (n,), above 0, of all images of the source, by which as many as `indices` are drawn for this seed
            (`tl_keras.data.order.drawn`); None for each once.
          then: Function applied to each element, in parallel and where it was read; None for none.

        Returns:
          A dataset of `then` applied to {"index": int64 scalar, "image": string scalar (an encoded file) or uint8
          (height, width, channels)}.
        """

    @abc.abstractmethod
    def encoded_image(self, index: int) -> bytes:
        """Returns the bytes of an image file; for pixels that were never a file, of a PNG of them."""

    def contents_revision(self) -> str | None:
        """Returns a text that changes when an image may have changed, without decoding any, or None if there is none."""
        return None

    def stamps(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns a stamp per image, V16 (n,), and whether it is sure to change with it, bool (n,); None if reading must tell."""
        if (contents := self.contents_revision()) is None:
            return None
        known = hashlib.sha256(contents.encode("utf-8", "surrogateescape")).digest()
        return digests(b"%s %d" % (known, index) for index in range(len(self))), np.ones(len(self), bool)

    def revision(self) -> str | None:
        """Returns a hash that changes when images, classes or splits may have, or None if only reading them can tell."""
        contents = self.contents_revision()
        if contents is None:
            return None
        columns = [
            list(self.class_names),
            list(self.ids),
            self.labels.tolist(),
            self.declared_splits.tolist(),
            contents,
            *([self.groups.names.tolist()] if self.groups else []),
        ]
        return hashlib.sha256(json.dumps(columns).encode()).hexdigest()


class RandomAccessSource(Source):
    """A source whose images can be read in any order.

    Example:
      A source of your own says what its images are called and labelled, and reads one by its position:

      ```python
      import numpy as np
      import tensorflow as tf
      import tl_keras


      class Stripes(tl_keras.RandomAccessSource):
          def __init__(self, images):
              super().__init__(
                  name="stripes",
                  class_names=("dark", "light"),
                  ids=[f"stripe:{number}" for number in range(images)],
                  labels=np.arange(images) % 2,
                  declared_splits=np.full(images, ""),
              )

          def read(self, index):
              return tf.cast(tf.fill((32, 32, 3), 100 * (index % 2) + index), tf.uint8)

          def encoded_image(self, index):
              return tf.io.encode_png(self.read(tf.constant(index, tf.int64))).numpy()


      assert len(Stripes(40)) == 40  # train_and_evaluate(config, workdir, source=Stripes(40))
      ```
    """

    @abc.abstractmethod
    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the image at an index, int64 scalar, by operations that can run in a tf.data pipeline."""

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
        order = self.ordered(indices, shuffle_seed=shuffle_seed, weights=weights)
        wanted = order if positions is None else tf.gather(order, on_host(positions))

        def read(index: tf.Tensor) -> Any:
            element = {"index": index, "image": self.read(index)}
            return then(element) if then else element

        return in_parallel(tf.data.Dataset.from_tensor_slices(wanted), read)

    def ordered(
        self, indices: np.ndarray, *, shuffle_seed: tf.Tensor | None, weights: np.ndarray | None = None
    ) -> tf.Tensor:
        """Returns indices, int64 (k,), in the order in which `images` reads them; see `tl_keras.data.order.ordered`."""
        return ordered(indices, shuffle_seed=shuffle_seed, weights=weights)


class FileSource(RandomAccessSource):
    """A source whose images are separate files.

    Args:
      paths: Paths of the files, in the order of the other columns.
      cache_folder: Directory of the cache, which keeps converted files; empty for the user's.
      columns: Columns of `Source`.
    """

    def __init__(self, *, paths: Sequence[bytes], cache_folder: str = "", **columns: Any):
        super().__init__(**columns)
        self._paths = paths
        self._cache_folder = cache_folder
        self._read_paths = on_host(np.array(list(paths), object))

    def path(self, index: int) -> str:
        """Returns the path of an image's file."""
        return os.fsdecode(self._paths[index])

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`."""
        file = tf.io.read_file(tf.gather(self._read_paths, index))
        return as_readable(file, cache=self._cache_folder) if self.may_need_conversion else file

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        return self.read(tf.constant(index, tf.int64)).numpy()

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return revision_of_files(self._paths)

    def stamps(self) -> tuple[np.ndarray, np.ndarray]:
        """Implements `Source.stamps`."""
        return stamps_of_files(self._paths)


class RecordSource(Source):
    """A source whose images follow each other in large files.

    Args:
      mean_image_bytes: Mean size of an encoded image, which decides how many are held for shuffling.
      columns: Columns of `Source`.
    """

    def __init__(self, *, mean_image_bytes: float, **columns: Any):
        super().__init__(**columns)
        self._block_images = int(np.clip(_BLOCK_BYTES / max(mean_image_bytes, 1), 1, _MAX_BLOCK_IMAGES))

    @abc.abstractmethod
    def _stream(self, seed: tf.Tensor | None) -> tf.data.Dataset:
        """Returns all records as {"index", "image"}, in storage order or roughly mixed by a seed, int64 (2,)."""

    def _read(self, record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns a record of `_stream` as `images` yields it: only for one that is wanted, since another may be damaged."""
        return record

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
        mask = on_host(np.isin(np.arange(len(self)), indices))
        seed = None if shuffle_seed is None else tf.stack([shuffle_seed, 0])
        records = self._stream(seed).filter(lambda record: tf.gather(mask, record["index"]))
        if weights is not None:
            wanted_of = ordered(indices, shuffle_seed=shuffle_seed, weights=weights)
            times = tf.math.bincount(tf.cast(wanted_of, tf.int32), minlength=len(self), dtype=tf.int64)
            records = records.flat_map(
                lambda record: tf.data.Dataset.from_tensors(record).repeat(tf.gather(times, record["index"]))
            )
        images = records if seed is None else shuffle_in_blocks(records, seed, block_size=self._block_images)
        if positions is not None:
            wanted = on_host(np.isin(np.arange(len(indices)), positions))
            images = (
                images.enumerate().filter(lambda position, _: tf.gather(wanted, position)).map(lambda _, image: image)
            )
        return in_parallel(images, lambda record: then(self._read(record)) if then else self._read(record))


def require_images(noun: str, *, command: str) -> None:
    """Raises a DataError if a command that judges images is given texts.

    Args:
      noun: Word for what the source holds or the model takes: `image` or `text`.
      command: Name of the command.
    """
    if noun != "image":
        raise DataError(
            f"{command}: expected images. Received: {noun}s, which {command} does not judge yet. Use train, evaluate, predict and "
            "report."
        )


def as_readable(file: tf.Tensor, *, cache: str = "") -> tf.Tensor:
    """Returns a file, string scalar, unchanged, or as PNG if the extra `formats` is installed and converts its type."""
    if not conversion.can_convert():
        return file
    # What TensorFlow reads is told in the graph: to ask Python costs as much as decoding a thumbnail.
    is_read = tf.reduce_any(tf.strings.substr(file, 0, 2) == [b"\xff\xd8", b"\x89P", b"GI", b"BM", b"RI"])

    def png_of(contents: Any) -> bytes:
        # Bytes in a graph, an array of one object outside of one.
        return conversion.readable(contents if isinstance(contents, bytes) else contents.item(), cache)

    def converted() -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(png_of, [file], tf.string, stateful=False), ())

    return tf.cond(is_read, lambda: file, converted)


def in_parallel(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Maps a function over a dataset, in order.

    The number of parallel calls is fixed: TensorFlow's own choice begins with few, and small sets are read before it has found
    more. AutoGraph is off: the function consists of TensorFlow operations, and finding that out takes AutoGraph a few seconds.
    """
    return dataset.map(
        tf.autograph.experimental.do_not_convert(function), num_parallel_calls=_CALLS, deterministic=True
    )


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the same elements without TensorFlow's tuning of the running pipeline, which `in_parallel` makes useless.

    Tuning took a fifth of an epoch of 400 photos, and a fifth of several epochs in one `flat_map` (2 cores).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _require_names(source: str, class_names: Sequence[str]) -> None:
    """Raises a DataError if the name of a class cannot be stored in JSON or in a TensorFlow graph, or is that of two."""
    for name in class_names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{printable(source)}: expected names of classes in UTF-8. Received: {printable(name)}. Rename that class."
            ) from error
    if len(set(class_names)) < len(class_names):
        twice = next(name for name in class_names if class_names.count(name) > 1)
        raise DataError(
            f"{printable(source)}: expected each name of a class once. Received {printable(twice)} twice. Rename one of them."
        )


def encode_classes(labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted class names (by value if all are integers) and the int64 (n,) label of every image.

    Raises:
      DataError: A label contains a NUL character, where NumPy would cut it off.
    """
    if with_nul := next((label for label in labels if "\0" in label), None):
        raise DataError(
            f"labels: expected text without NUL characters. Received: {printable(with_nul)}. Rename that class."
        )
    names, positions = np.unique(np.array(labels, str), return_inverse=True)
    if all(_INTEGER.fullmatch(name) for name in names):
        order = np.argsort([int(name) for name in names], kind="stable")
        names, positions = names[order], np.argsort(order)[positions]
    return tuple(names.tolist()), positions.astype(np.int64)
