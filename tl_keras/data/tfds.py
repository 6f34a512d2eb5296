"""Reads images of TensorFlow Datasets."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.console import first_line
from tl_keras.data.base import RecordSource
from tl_keras.data.label_rows import encode_rows
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.split_names import splits_of_names
from tl_keras.errors import DataError, DependencyError, nearest

_LISTING_BATCH = 1024


class TFDSSource(RecordSource):
    """A dataset of TensorFlow Datasets with an `image` and a `label`, read from the place where it was prepared.

    Several labels are a sequence of class labels, called `label` or `labels`; a number is a float called `label` or `target`.

    Its splits train, validation and test are kept; other splits, and those without labels, are left out with a note.

    Args:
      dataset: `NAME` or `NAME/CONFIG`, either with `:VERSION`.
      options: Directory of prepared datasets, and the meaning of other names of splits.

    Raises:
      DataError: The dataset is unknown, is not prepared and cannot be, or has no images with class labels.
      DependencyError: tensorflow_datasets does not work here.
    """

    def __init__(self, dataset: str, options: SourceOptions = NO_OPTIONS):
        name = f"tfds:{dataset}"
        self._builder = _prepared_builder(name, dataset, os.path.expanduser(options.data_dir))
        feature, names = _label_feature(name, self._builder.info.features, options)
        meant = splits_of_names(self._builder.info.splits, options.meanings)
        labels_of_split, notes = _read_labels(self._builder, meant, feature)
        counts = [len(labels) for labels in labels_of_split.values()]
        if not sum(counts):
            raise DataError(
                f"{name}: expected a split train, validation or test with labelled images. Received: "
                f"{', '.join(self._builder.info.splits)}. Choose another dataset."
            )
        rows = [row for part in labels_of_split.values() for row in part]
        one_class = all(np.ndim(row) == 0 and row.dtype.kind == "i" for row in rows)
        class_names, labels = (
            (names, np.array(rows)) if one_class else encode_rows(name, rows, options.label_kind, names)
        )
        super().__init__(
            name=name,
            class_names=class_names,
            ids=[f"{split}:{position}" for split, labels in labels_of_split.items() for position in range(len(labels))],
            labels=labels,
            declared_splits=np.repeat([meant[split] for split in labels_of_split], counts),
            notes=notes,
            mean_image_bytes=sum(self._builder.info.splits[split].num_bytes for split in labels_of_split) / sum(counts),
        )
        # Built here because `_stream` may run within a graph.
        self._records = _read(self._builder, "+".join(labels_of_split), feature="image").enumerate()

    def _stream(self, seed: tf.Tensor | None) -> tf.data.Dataset:
        # TFDS shuffled the records when it wrote them.
        return self._records.map(lambda index, image: {"index": index, "image": image})

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        split, position = self.ids[index].split(":")
        records = _read(self._builder, f"{split}[{position}:{int(position) + 1}]", feature="image")
        return next(iter(records)).numpy()

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`: a prepared dataset has a version and is never rewritten under it."""
        return self._builder.info.full_name


def _import_tfds() -> Any:
    """Returns the package, which is heavy and which most runs do not need."""
    try:
        # `import tensorflow_datasets` hides errors inside and leaves an empty module.
        from tensorflow_datasets import public_api
    except Exception as error:  # such as the VersionError of protobuf
        raise DependencyError(
            f"tfds: expected tensorflow_datasets beside TensorFlow {tf.__version__}. Importing it failed "
            f"({first_line(error)}). With TensorFlow 2.19 use: pip install 'tensorflow-metadata<1.18'"
        ) from error
    return public_api


def _prepared_builder(name: str, dataset: str, data_dir: str) -> Any:
    tfds = _import_tfds()
    try:
        builder = tfds.builder(dataset, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        known = nearest(dataset.split("/")[0].split(":")[0], tfds.list_builders(with_community_datasets=False))
        raise DataError(
            f"{name}: expected a dataset that TFDS knows or that lies in {data_dir or 'its data_dir'}. "
            f"Received: {dataset}. {known}Give the folder above it as data_dir."
        ) from error
    except Exception as error:  # a builder's constructor may contain any code
        raise DataError(f"{name}: expected NAME[/config][:version]. TFDS answered: {first_line(error)}") from error
    if not builder.data_path.exists():
        try:
            # TFDS reports its progress on stdout, which is for results.
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare()
        except Exception as error:  # downloads and parsing raise errors of many types
            raise DataError(
                f"{name}: expected a prepared dataset in {builder.data_path}. Preparing it failed "
                f"({first_line(error)}). Run `tfds build {dataset}` where there is internet and copy the folder there."
            ) from error
    return builder


def _label_feature(name: str, features: Any, options: SourceOptions) -> tuple[str, tuple[str, ...]]:
    """Returns the name of the feature of labels, and the names of its classes, which numbers have none of."""
    tfds = _import_tfds()
    found = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    wanted = options.column_names.get("label", "")
    chosen = wanted or next((each for each in ("label", "labels", "target") if each in found), "")
    label = found.get(chosen)
    inner = getattr(label, "feature", label)
    is_class, is_list = isinstance(inner, tfds.features.ClassLabel), inner is not label
    is_number = not is_class and tf.as_dtype(getattr(inner, "dtype", None) or tf.string).is_floating
    one_class = is_class and not is_list
    fits = {"numbers": is_number or one_class, "labels": is_class}.get(options.label_kind, one_class)
    if not isinstance(found.get("image"), tfds.features.Image) or not fits:
        received = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in found.items()) or str(features)
        several = " To learn several labels of an image, use --task=multi_label." if is_class and is_list else ""
        raise DataError(
            f"{name}: expected the features image (Image) and label (ClassLabel). Received: {received}. "
            f"Choose a dataset for image classification.{several}"
        )
    return chosen, tuple(getattr(inner, "names", None) or ())


def _read_labels(builder: Any, meant: dict[str, str], feature: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Returns the labels of the images of every usable split, and a note for every other."""
    labels_of_split, notes = {}, []
    for split in builder.info.splits:
        if meant[split] in ("", "unused"):
            notes.append(
                f"split {split} left out: it is neither train, validation nor test; --splits={split}=train uses it"
            )
            continue
        records = _read(builder, split, feature=feature)
        if records.element_spec.shape.rank:  # lists, of different lengths
            labels = list(records.as_numpy_iterator())
        else:
            labels = [label for batch in records.batch(_LISTING_BATCH).as_numpy_iterator() for label in batch]
        if any(label.dtype.kind == "i" and np.any(label < 0) for label in labels):
            notes.append(f"split {split} left out: it has images without a label")
        elif labels:
            labels_of_split[split] = labels
    return labels_of_split, notes


def _read(builder: Any, split: str, *, feature: str) -> tf.data.Dataset:
    """Returns one feature of every record in storage order; images as their encoded bytes."""
    tfds = _import_tfds()
    records = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(
            {feature: True}, decoders={"image": tfds.decode.SkipDecoding()} if feature == "image" else None
        ),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False, skip_prefetch=True),
    )
    return records.map(lambda record: record[feature])
