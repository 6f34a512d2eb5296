"""Reads images from objects of other libraries: Hugging Face datasets and tf.data datasets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.console import first_line, number_of
from tl_keras.data.base import RandomAccessSource, RecordSource, as_readable, encode_classes
from tl_keras.data.class_names import is_missing
from tl_keras.data.groups import Groups, groups_of_column
from tl_keras.data.image_table import NAMES, plain_name
from tl_keras.data.label_rows import encode_rows
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.split_names import splits_of_names
from tl_keras.errors import DataError, DependencyError


class HuggingFaceSource(RandomAccessSource):
    """A dataset of Hugging Face's `datasets` with an image and a class label in each row.

    Args:
      dataset: A `Dataset`, or a `DatasetDict` of splits.
      options: Names of the columns `image`, `label` and `group` if they differ, and the meaning of other names of splits.
      name: Name of the source.

    Raises:
      DataError: The dataset has no such columns, or has a split whose name is unknown.
    """

    def __init__(self, dataset: Any, options: SourceOptions = NO_OPTIONS, *, name: str = "datasets.Dataset"):
        import datasets

        parts = dict(dataset) if isinstance(dataset, dict) else {"": dataset}
        _require_stored(name, parts.values())
        meant = splits_of_names([part for part in parts if part], options.meanings) | {"": ""}
        unknown = [part for part in parts if part and not meant[part]]
        if unknown:
            raise DataError(
                f"{name}: expected splits train, validation and test. Received {', '.join(unknown)}. Say what they mean: "
                f"--splits={','.join(f'{part}=unused' for part in unknown)}."
            )
        # Rows as they are stored, whatever a format or a transform makes of them.
        used = {part: rows.with_format(None) for part, rows in parts.items() if meant[part] != "unused" and len(rows)}
        left = [f"{part} ({number_of(len(parts[part]), 'image')})" for part in parts if part not in used]
        if not used:
            raise DataError(f"{name}: expected rows with images. Received none. Choose another dataset.")
        image, label = (_column(name, next(iter(used.values())), what, options) for what in ("image", "label"))
        if lacking := [part for part, rows in used.items() if image not in rows.features]:
            raise DataError(
                f"{name}: expected a column {image} in each split. Received none in {', '.join(lacking)}. Rename it, or leave the "
                f"split out: --splits={lacking[0]}=unused."
            )
        unlabelled = [part for part, rows in used.items() if _has_no_labels(name, part, label, rows)]
        left += [f"{part} (it has images without a label)" for part in unlabelled]
        used = {part: rows for part, rows in used.items() if part not in unlabelled}
        if not used:
            raise DataError(
                f"{name}: expected labelled images. Received images without a label. Choose another dataset."
            )
        # Files stay as they are stored, and are decoded like all others; other columns, such as masks, are not read with them.
        as_stored = datasets.Image(decode=False)
        self._rows = {part: rows.select_columns(image).cast_column(image, as_stored) for part, rows in used.items()}
        self._column, self._cache_folder = image, options.cache_folder
        self._starts = np.cumsum([0, *(len(rows) for rows in used.values())])
        class_names, positions = _labels(
            name, {part: (rows.features[label], rows[label]) for part, rows in used.items()}, options
        )
        super().__init__(
            name=name,
            class_names=class_names,
            ids=[f"{part or 'row'}:{number}" for part, rows in used.items() for number in range(len(rows))],
            labels=positions,
            declared_splits=np.repeat([meant[part] for part in used], [len(rows) for rows in used.values()]),
            groups=_groups(name, list(used.values()), options),
            notes=[f"splits left out: {', '.join(left)}"] if left else [],
        )

    def _stored_image(self, index: int) -> bytes:
        """Returns an image as the dataset has it."""
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        part = list(self._rows)[number]
        stored = self._rows[part][int(index - self._starts[number])][self._column]
        if stored is None:
            return b""
        if stored["bytes"] is not None:
            return stored["bytes"]
        with open(stored["path"], "rb") as file:
            return file.read()

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        return self.read(tf.constant(index, tf.int64)).numpy()

    def contents_revision(self) -> str | None:
        """Implements `Source.contents_revision` by the fingerprint under which the library caches its results."""
        fingerprints = [getattr(rows, "_fingerprint", "") for rows in self._rows.values()]
        return " ".join(fingerprints) if all(fingerprints) else None

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`."""
        file = tf.ensure_shape(tf.numpy_function(self._stored_image, [index], tf.string), ())
        return as_readable(file, cache=self._cache_folder) if self.may_need_conversion else file


def hugging_face_source(path: str, options: SourceOptions = NO_OPTIONS) -> HuggingFaceSource:
    """Returns the images of a dataset on disk, or of a Parquet file of images.

    Args:
      path: Path of a directory that `save_to_disk` wrote or `load_dataset` reads, or of a .parquet file.
      options: Options of `HuggingFaceSource`.

    Raises:
      DataError: There is no dataset, or it cannot be read.
      DependencyError: `datasets` is not installed.
    """
    name = f"hf:{path}"
    try:
        import datasets
    except ImportError as error:
        raise DependencyError(f"{name}: datasets is not installed. Run: pip install 'tl_keras[huggingface]'") from error
    try:
        if os.path.isfile(path):
            dataset = datasets.Dataset.from_parquet(path)
        elif any(os.path.isfile(os.path.join(path, file)) for file in ("dataset_info.json", "dataset_dict.json")):
            dataset = datasets.load_from_disk(path)
        else:
            dataset = datasets.load_dataset(path)
    except Exception as error:  # downloads and parsing of any kind
        raise DataError(
            f"{name}: expected a dataset of images. Reading it failed ({first_line(error)}). Check the path."
        ) from error
    return HuggingFaceSource(dataset, options, name=name)


class TFDataSource(RecordSource):
    """A `tf.data.Dataset` of (image, label) or {"image", "label"}, batched or not.

    It is read from its start in every epoch and must return the same elements in the same order each time.

    Args:
      dataset: Finite dataset; images are uint8 pixels or encoded files, labels integers or strings, one-hot rows, rows of
        1 and 0 for several labels, or numbers.
      options: Options that name the task and the directory of the cache.
      name: Name of the source.

    Raises:
      DataError: The dataset is infinite, empty, or holds something else.
    """

    def __init__(self, dataset: tf.data.Dataset, options: SourceOptions = NO_OPTIONS, *, name: str = "tf.data.Dataset"):
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise DataError(
                f"{name}: expected a dataset that ends. Received one that repeats for ever. Leave out repeat()."
            )
        are_named = isinstance(dataset.element_spec, dict) and {"image", "label"} <= dataset.element_spec.keys()
        pairs = dataset.map(_as_pair) if are_named else dataset
        spec = pairs.element_spec
        if not (isinstance(spec, tuple) and len(spec) == 2 and spec[0].dtype in (tf.uint8, tf.string)):
            raise DataError(
                f"{name}: expected elements (image, label) with images of uint8, 0 to 255, or encoded files. Received {spec}. "
                "Map it to such pairs, without preprocessing: dataset.map(lambda image, label: (tf.cast(image, tf.uint8), label))."
            )
        if spec[0].shape.rank == (4 if spec[0].dtype == tf.uint8 else 1):
            pairs = pairs.unbatch()
        self._images, self._cache_folder = pairs.map(lambda image, _: image), options.cache_folder
        labels, self._hashes, mean_image_bytes = _read_twice(name, pairs)
        names = getattr(dataset, "class_names", None)  # set by keras.utils.image_dataset_from_directory
        if any(np.size(label) != 1 or np.asarray(label).dtype.kind == "f" for label in labels):
            class_names, positions = encode_rows(name, labels, options.label_kind, names or ())
        else:
            class_names, positions = encode_classes([_label_text(label) for label in labels])
        if names and positions.ndim == 1 and all(name.isdecimal() and int(name) < len(names) for name in class_names):
            positions, class_names = np.array([int(class_names[position]) for position in positions]), tuple(names)
        super().__init__(
            name=name,
            class_names=class_names,
            ids=[f"element:{number}" for number in range(len(labels))],
            labels=positions,
            declared_splits=np.full(len(labels), ""),
            mean_image_bytes=mean_image_bytes,
        )

    def _stream(self, seed: tf.Tensor | None) -> tf.data.Dataset:
        return self._images.enumerate().map(lambda index, image: {"index": index, "image": image})

    def _read(self, record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**record, "image": self._readable(record["image"])}

    def _readable(self, image: tf.Tensor) -> tf.Tensor:
        return as_readable(image, cache=self._cache_folder) if image.dtype == tf.string else image

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        image = self._readable(next(iter(self._images.skip(index))))
        return (image if image.dtype == tf.string else tf.io.encode_png(image)).numpy()

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return repr(self._hashes)


def _read_twice(name: str, pairs: tf.data.Dataset) -> tuple[list[Any], list[int], float]:
    """Returns labels, hashes and the mean number of bytes of an image, after checking that a second reading gives the same."""

    def fingerprint(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        contents = image if image.dtype == tf.string else tf.io.serialize_tensor(image)
        return tf.strings.to_hash_bucket_fast(contents, 2**62), label, tf.strings.length(contents)

    first, second = (list(pairs.map(fingerprint).as_numpy_iterator()) for _ in range(2))
    if not first:
        raise DataError(f"{name}: expected images. Received an empty dataset. Check how it is made.")
    if [content for content, _, _ in first] != [content for content, _, _ in second]:
        raise DataError(
            f"{name}: expected the same images in the same order each time. Received others the second time. Leave out "
            "shuffle() and random changes; training shuffles and augments by itself."
        )
    nbytes = float(np.mean([size for _, _, size in first]))
    return [label for _, label, _ in first], [int(content) for content, _, _ in first], nbytes


def _as_pair(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    return element["image"], element["label"]


def _label_text(label: Any) -> str:
    if isinstance(label, bytes):
        return label.decode("utf-8", "surrogateescape")
    text = np.reshape(label, ()).item()
    return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else str(int(text))


def _require_stored(name: str, parts: Iterable[Any]) -> None:
    """Raises a DataError if rows come in a stream, of which no image can be read by its number."""
    import datasets

    if stream := next((rows for rows in parts if not isinstance(rows, datasets.Dataset)), None):
        raise DataError(
            f"{name}: expected rows on disk or in memory. Received a stream, {type(stream).__name__}. Load it without "
            "streaming=True."
        )


def _column(name: str, rows: Any, what: str, options: SourceOptions) -> str:
    import datasets

    kind = datasets.Image if what == "image" else datasets.ClassLabel
    asked = options.column_names.get(what, what)
    of_kind = [
        column
        for column, feature in rows.features.items()
        if isinstance(feature, kind) or (what == "label" and (column == "labels" or isinstance(_inner(feature), kind)))
    ]
    if asked in rows.features:
        return asked
    if what not in options.column_names and len(of_kind) == 1:
        return of_kind[0]
    raise DataError(
        f"{name}: expected a column {asked}. Received {', '.join(rows.features)}. Name it: --columns={what}=COLUMN."
    )


def _groups(name: str, parts: list[Any], options: SourceOptions) -> Groups | None:
    """Returns the groups in a column of a usual name, such as patient, or of the name that the user gives."""
    by_name = options.group_by in parts[0].features
    asked = options.group_by if by_name else options.column_names.get("group", "")
    usual = [column for column in parts[0].features if plain_name(column) in NAMES["group"]]
    column = asked or (usual[0] if usual else "none")
    if (options.group_by and not by_name) or column == "none":
        return None
    if any(column not in rows.features for rows in parts):
        raise DataError(
            f"{name}: expected a column {column}. Received {', '.join(parts[0].features)}. "
            "Name it: --columns=group=COLUMN; or leave that out."
        )
    members = (value for rows in parts for value in rows[column])
    return groups_of_column(name, column, members, group_by=options.group_by)


def _inner(feature: Any) -> Any:
    """Returns the feature that a list consists of, or the feature itself."""
    return getattr(feature, "feature", feature[0] if isinstance(feature, list) else feature)


def _has_no_labels(name: str, part: str, column: str, rows: Any) -> bool:
    """Returns whether a split comes without its labels, which are then -1 or missing, or their column is.

    Raises:
      DataError: Some labels of the split are missing and others are not.
    """
    if column not in rows.features:
        return True
    labels = list(rows[column])
    if any(isinstance(label, list) for label in labels):
        return False  # a missing list is an image with none of the labels
    missing = [number for number, label in enumerate(labels) if is_missing(label)]
    if missing and len(missing) < len(labels):
        more = f", and in {len(missing) - 1} more" if missing[1:] else ""
        raise DataError(
            f"{name}: expected a label in each row. Received none in {part or 'row'}:{missing[0]}{more}. Leave such rows out: "
            f"dataset.filter(lambda row: row[{column!r}] is not None)."
        )
    return bool(missing) or -1 in labels


def _labels(
    name: str, columns: dict[str, tuple[Any, Any]], options: SourceOptions
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns names and labels of the columns of all splits, each with its feature.

    Raises:
      DataError: Some splits name their classes and others do not.
    """
    names_of = {part: tuple(getattr(_inner(feature), "names", None) or ()) for part, (feature, _) in columns.items()}
    names = tuple(dict.fromkeys(each for names in names_of.values() for each in names))
    if names and (without := [part for part, own in names_of.items() if not own]):
        raise DataError(
            f"{name}: expected names of classes in all splits or in none. Received none in {', '.join(without)}. Cast the column "
            "to the same ClassLabel in all."
        )
    rows = [(names_of[part], value) for part, (_, values) in columns.items() for value in values]
    if not any(isinstance(value, list) for _, value in rows):
        return encode_classes([_named(value, own) for own, value in rows])
    lists = [(own, [] if value is None else value) for own, value in rows]
    if len(set(names_of.values())) > 1:
        return encode_rows(
            name, [[_named(each, own) for each in value] for own, value in lists], options.label_kind, names
        )
    return encode_rows(name, [value for _, value in lists], options.label_kind, names)


def _named(value: Any, names: tuple[str, ...]) -> str:
    return names[value] if names and value >= 0 else str(value)
