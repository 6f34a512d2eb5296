"""Reads images in TFRecord files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RecordSource, as_readable
from tl_keras.data.groups import Groups
from tl_keras.data.label_rows import encode_rows
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.order import on_host
from tl_keras.data.shards import ids_of_files, matching_files, name_classes, read_names, splits_of_files
from tl_keras.data.stamps import revision_of_files
from tl_keras.errors import DataError

# Number of files read in turn while shuffling, so that records of different files mix.
_FILES_IN_TURN = 16
_LISTING_BATCH = 1024


class TFRecordSource(RecordSource):
    """TFRecord files of `tf.train.Example` with the features `image` (an encoded file) and `label` (int64 or bytes).

    For several labels, `label` has any number of positions or names, or a 1 or 0 for each label; for numbers it may be float.

    A feature `group` (int64 or bytes), or another that the columns name, names the group that stays in one split where every
    file has it.

    A file with a word such as train, val or test in its name declares that split. A `labels.txt` beside the files lists the
    names of classes, one per line; without it, a class is named by its label. Files may be compressed by GZIP or ZLIB.

    Args:
      pattern: Pattern of the files, for example "photos/*.tfrecord", or the path of one file.
      options: Meanings of file names that declare no split.

    Raises:
      DataError: No file matches, some files declare a split and others do not, a file is damaged, an
        example lacks a feature, or `labels.txt` does not fit the labels.
    """

    def __init__(self, pattern: str, options: SourceOptions = NO_OPTIONS):
        name = f"tfrecord:{pattern}"
        files = matching_files(pattern)
        if not files:
            raise DataError(f"{name}: expected TFRecord files. Received a pattern that no file fits. Check the path.")
        splits, notes = splits_of_files(name, files, options)
        files = [file for file in files if splits[file] != "unused"]
        compressions = [_compression(file) for file in files]
        lists = options.label_kind in ("labels", "numbers")
        group = options.column_names.get("group", "group")
        columns = [
            _read_columns(file, kind, group=group, lists=lists) for file, kind in zip(files, compressions, strict=True)
        ]
        labels_of_file = [each["label"] for each in columns]
        counts = [len(labels) for labels in labels_of_file]
        if not sum(counts):
            raise DataError(
                f"{name}: expected records in {number_of(len(files), 'file')}. Received none. Write the files again."
            )
        names_file = files[0].parent / "labels.txt"
        class_names, labels = (
            encode_rows(name, np.concatenate(labels_of_file).tolist(), options.label_kind, read_names(names_file))
            if lists
            else name_classes(name, names_file, np.concatenate(labels_of_file))
        )
        super().__init__(
            name=name,
            class_names=class_names,
            ids=ids_of_files(files, map(range, counts)),
            labels=labels,
            declared_splits=np.repeat([splits[file] for file in files], counts),
            groups=_groups([each for each in columns if len(each["label"])], options),
            notes=notes,
            mean_image_bytes=sum(file.stat().st_size for file in files) / sum(counts),
        )
        self._cache_folder = options.cache_folder
        self._files = on_host(np.array([os.fsencode(file) for file in files], object))
        self._compressions = on_host(np.array(compressions, object))
        self._first_index = np.cumsum([0, *counts[:-1]])

    def _stream(self, seed: tf.Tensor | None) -> tf.data.Dataset:
        first_index = on_host(self._first_index)
        numbers = tf.range(len(self._first_index))
        if seed is not None:
            numbers = tf.random.experimental.stateless_shuffle(numbers, seed=seed)

        def records_of(number: tf.Tensor) -> tf.data.Dataset:
            records = tf.data.TFRecordDataset(tf.gather(self._files, number), tf.gather(self._compressions, number))
            numbered = records.enumerate(start=tf.gather(first_index, number))
            return numbered.map(without_autograph(lambda index, record: {"index": index, "image": record}))

        without_autograph = tf.autograph.experimental.do_not_convert
        return tf.data.Dataset.from_tensor_slices(numbers).interleave(
            without_autograph(records_of),
            cycle_length=1 if seed is None else min(_FILES_IN_TURN, len(self._first_index)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _read(self, record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**record, "image": self._image_of(record["image"])}

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        number = int(np.searchsorted(self._first_index, index, side="right")) - 1
        records = tf.data.TFRecordDataset(self._files[number], self._compressions[number])
        records = records.skip(index - self._first_index[number])
        return self._image_of(next(iter(records))).numpy()

    def _image_of(self, record: tf.Tensor) -> tf.Tensor:
        image = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
        return as_readable(image, cache=self._cache_folder) if self.may_need_conversion else image

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return revision_of_files(self._files.numpy())


def _compression(file: Path) -> str:
    """Returns `GZIP`, `ZLIB` or empty, the compression in TensorFlow's terms."""
    with file.open("rb") as opened:
        start = opened.read(12)
    if start[:2] == b"\x1f\x8b":
        return "GZIP"
    # A plain file begins with the length of its first record, 8 bytes, the last of which are 0.
    zlib_header = len(start) > 2 and start[0] == 0x78 and (start[0] * 256 + start[1]) % 31 == 0
    return "ZLIB" if zlib_header and any(start[4:8]) else ""


def _read_columns(file: Path, compression: str, *, group: str, lists: bool) -> dict[str, np.ndarray]:
    """Returns the labels of a file and, where it has them, the groups, each int64 or object (bytes) (n,).

    Args:
      file: The file.
      compression: Compression as `_compression` returns it.
      group: Name of the feature with the group.
      lists: Whether an image has any number of labels, which are then arrays.
    """
    records = tf.data.TFRecordDataset(os.fsencode(file), compression)
    try:
        first = next(iter(records), None)
        if first is None:
            return {"label": np.array([], np.int64)}
        types = _types(file, first.numpy(), group=group, lists=lists)
        features = {name: tf.io.FixedLenFeature([], kind) for name, kind in types.items()}
        if lists:
            features["label"] = tf.io.RaggedFeature(types["label"])
        parsed = records.batch(_LISTING_BATCH).map(lambda batch: tf.io.parse_example(batch, features))
        batches = list(parsed.as_numpy_iterator())
        if lists:
            for batch in batches:
                batch["label"] = _as_objects(batch["label"])
        return {name: np.concatenate([batch[name] for batch in batches]) for name in types}
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        reason = error.message.splitlines()[0].rpartition("Name: <unknown>, ")[2]  # without TensorFlow's names of nodes
        raise DataError(
            f"tfrecord:{file}: expected records with one label each, all of one type. Received a file that is damaged "
            f"or holds something else ({reason}). Write it again, or use --task=multi_label where an image has several labels."
        ) from error


def _groups(columns: list[dict[str, np.ndarray]], options: SourceOptions) -> Groups | None:
    """Returns the groups that the feature `group` tells, if all files have it and the user does not name another way."""
    asked = options.column_names.get("group", "")
    feature = asked or "group"
    if options.group_by or asked == "none":
        return None
    if lacking := [each for each in columns if feature not in each]:
        if asked:
            raise DataError(
                f"tfrecord: expected the feature {asked} (int64 or bytes) in all files, as --columns=group={asked} says. Received: "
                f"{number_of(len(lacking), 'file')} without it. Leave it out, or write it."
            )
        return None
    values = [value for each in columns for value in each[feature].tolist()]
    names = [os.fsdecode(value) if isinstance(value, bytes) else str(value) for value in values]
    return Groups.of_column(f"the feature {feature}", names)


def _as_objects(rows: np.ndarray) -> np.ndarray:
    """Returns the lists of a batch, which NumPy has as a matrix if they are equally long, as an array of objects."""
    objects = np.empty(len(rows), object)
    for number, row in enumerate(rows):
        objects[number] = row
    return objects


def _types(file: Path, record: bytes, *, group: str, lists: bool) -> dict[str, tf.DType]:
    """Returns the type of `label`, and of the feature with the group if there is one, after checking the features."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError, whose module depends on its version
        raise DataError(
            f"tfrecord:{file}: expected tf.train.Example records. Received others. Convert them."
        ) from error
    kinds = {key: feature.WhichOneof("kind") for key, feature in features.items()}
    types = {"int64_list": tf.int64, "bytes_list": tf.string} | ({"float_list": tf.float32} if lists else {})
    if kinds.get("image") != "bytes_list" or kinds.get("label") not in types:
        received = ", ".join(f"{key} ({kind})" for key, kind in sorted(kinds.items())) or "no features"
        raise DataError(
            f"tfrecord:{file}: expected the features image (bytes) and label (int64 or bytes). Received: {received}. "
            "Write the files with these two names."
        )
    return {name: types[kinds[name]] for name in ("label", group) if kinds.get(name) in types}
