"""Reads images in TFRecord files."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RecordSource, as_readable, encode_classes, on_host
from tl_keras.data.groups import Groups
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.split_names import split_of_name
from tl_keras.data.stamps import revision_of_files
from tl_keras.errors import DataError

# Number of files read in turn while shuffling, so that records of different files mix.
_FILES_IN_TURN = 16
_LISTING_BATCH = 1024


class TFRecordSource(RecordSource):
    """TFRecord files of `tf.train.Example` with the features `image` (an encoded file) and `label` (int64 or bytes).

    A feature `group` (int64 or bytes), where every file has it, names the group that stays in one split.

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
        files = _matching_files(pattern)
        if not files:
            raise DataError(f"{name}: expected TFRecord files. Received a pattern that no file fits. Check the path.")
        splits, notes = _splits_of_files(name, files, options)
        files = [file for file in files if splits[file] != "unused"]
        compressions = [_compression(file) for file in files]
        columns = [_read_columns(file, kind) for file, kind in zip(files, compressions, strict=True)]
        labels_of_file = [each["label"] for each in columns]
        counts = [len(labels) for labels in labels_of_file]
        if not sum(counts):
            raise DataError(
                f"{name}: expected records in {number_of(len(files), 'file')}. Received none. Write the files again."
            )
        class_names, labels = _name_classes(name, files[0].parent / "labels.txt", np.concatenate(labels_of_file))
        parent = os.path.commonpath([file.parent for file in files])
        super().__init__(
            name=name,
            class_names=class_names,
            ids=[
                f"{file.relative_to(parent).as_posix()}:{position}"
                for file, count in zip(files, counts, strict=True)
                for position in range(count)
            ],
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
            return numbered.map(without_autograph(lambda index, file: {"index": index, "image": self._image_of(file)}))

        without_autograph = tf.autograph.experimental.do_not_convert
        return tf.data.Dataset.from_tensor_slices(numbers).interleave(
            without_autograph(records_of),
            cycle_length=1 if seed is None else min(_FILES_IN_TURN, len(self._first_index)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        number = int(np.searchsorted(self._first_index, index, side="right")) - 1
        records = tf.data.TFRecordDataset(self._files[number], self._compressions[number])
        records = records.skip(index - self._first_index[number])
        return self._image_of(next(iter(records))).numpy()

    def _image_of(self, record: tf.Tensor) -> tf.Tensor:
        image = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
        return image if self.only_jpegs else as_readable(image, cache=self._cache_folder)

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return revision_of_files(self._files.numpy())


def _matching_files(pattern: str) -> list[Path]:
    """Returns the files that match a pattern; brackets that belong to a name need no escape."""
    if Path(pattern).is_file():
        return [Path(pattern)]
    for written in (pattern, pattern.replace("[", "[[]")):
        files = [Path(file) for file in sorted(glob.glob(written, recursive=True)) if Path(file).is_file()]
        if files:
            return files
    return []


def _splits_of_files(name: str, files: list[Path], options: SourceOptions) -> tuple[dict[Path, str], list[str]]:
    """Returns the split that each file declares, empty if none, and a note on files that are not used."""
    splits = {file: options.meanings.get(file.name.lower()) or _split_of_file(file) for file in files}
    silent = [file.name for file, split in splits.items() if not split]
    if silent and len(silent) < len(files):
        raise DataError(
            f"{name}: expected a split, such as train or test, in the name of every file or of none. Received none in "
            f"{', '.join(silent[:10])}. Say what they are: --splits={','.join(f'{file}=train' for file in silent[:10])}."
        )
    unused = [file.name for file, split in splits.items() if split == "unused"]
    return splits, [f"files left out: {', '.join(unused)}"] if unused else []


def _compression(file: Path) -> str:
    """Returns `GZIP`, `ZLIB` or empty, the compression in TensorFlow's terms."""
    with file.open("rb") as opened:
        start = opened.read(12)
    if start[:2] == b"\x1f\x8b":
        return "GZIP"
    # A plain file begins with the length of its first record, 8 bytes, the last of which are 0.
    zlib_header = len(start) > 2 and start[0] == 0x78 and (start[0] * 256 + start[1]) % 31 == 0
    return "ZLIB" if zlib_header and any(start[4:8]) else ""


def _read_columns(file: Path, compression: str) -> dict[str, np.ndarray]:
    """Returns the labels of a file and, where it has them, the groups, each int64 or object (bytes) (n,)."""
    records = tf.data.TFRecordDataset(os.fsencode(file), compression)
    try:
        first = next(iter(records), None)
        if first is None:
            return {"label": np.array([], np.int64)}
        types = _types(file, first.numpy())
        features = {name: tf.io.FixedLenFeature([], kind) for name, kind in types.items()}
        parsed = records.batch(_LISTING_BATCH).map(lambda batch: tf.io.parse_example(batch, features))
        batches = list(parsed.as_numpy_iterator())
        return {name: np.concatenate([batch[name] for batch in batches]) for name in types}
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DataError(
            f"tfrecord:{file}: expected records with one label each, all of one type. Received a file that is damaged "
            f"or holds something else ({error.message.splitlines()[0]}). Write it again."
        ) from error


def _groups(columns: list[dict[str, np.ndarray]], options: SourceOptions) -> Groups | None:
    """Returns the groups that the feature `group` tells, if all files have it and the user does not name another way."""
    if options.group_by or options.column_names.get("group") == "none" or not all("group" in each for each in columns):
        return None
    values = [value for each in columns for value in each["group"].tolist()]
    names = [os.fsdecode(value) if isinstance(value, bytes) else str(value) for value in values]
    return Groups.of_column("the feature group", names)


def _types(file: Path, record: bytes) -> dict[str, tf.DType]:
    """Returns int64 or string for `label`, and for `group` if there is one, after checking the features."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError, whose module depends on its version
        raise DataError(
            f"tfrecord:{file}: expected tf.train.Example records. Received others. Convert them."
        ) from error
    kinds = {key: feature.WhichOneof("kind") for key, feature in features.items()}
    types = {"int64_list": tf.int64, "bytes_list": tf.string}
    if kinds.get("image") != "bytes_list" or kinds.get("label") not in types:
        received = ", ".join(f"{key} ({kind})" for key, kind in sorted(kinds.items())) or "no features"
        raise DataError(
            f"tfrecord:{file}: expected the features image (bytes) and label (int64 or bytes). Received: {received}. "
            "Write the files with these two names."
        )
    return {name: types[kinds[name]] for name in ("label", "group") if kinds.get(name) in types}


def _name_classes(name: str, names_file: Path, labels: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the class names and the position of every label among them, int64 (n,)."""
    if labels.dtype == object:
        labels = np.array([os.fsdecode(label) if isinstance(label, bytes) else str(label) for label in labels])
    if not names_file.is_file():
        return encode_classes([str(label) for label in labels])
    class_names = tuple(line.strip() for line in names_file.read_text("utf-8").split("\n") if line.strip())
    if labels.dtype.kind == "i":
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(
                f"{name}: expected labels from 0 to {len(class_names) - 1}, for the {len(class_names)} names in "
                f"{names_file}. Received {labels.min()} to {labels.max()}. Correct {names_file.name}."
            )
        return class_names, labels
    found, positions = encode_classes(labels.tolist())
    unknown = sorted(set(found) - set(class_names))
    if unknown:
        raise DataError(
            f"{name}: expected labels among the names in {names_file}. Received {', '.join(unknown)}. "
            f"Add them to {names_file.name} or remove it."
        )
    return class_names, np.array([class_names.index(label) for label in found])[positions]


def _split_of_file(file: Path) -> str:
    """Returns the split that a file name such as `train-00003-of-00010.tfrecord` declares, or empty."""
    words = [word for word in re.split("[^a-z]+", file.name.lower()) if word]
    # Splits train-00003, seg_train and training_set into their words.
    splits = {split_of_name(word) for word in words} - {""}
    return splits.pop() if len(splits) == 1 else ""
