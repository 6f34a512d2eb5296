"""Reads images in numpy arrays: from Python, from an .npz file, or scikit-learn's digits."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RandomAccessSource, encode_classes
from tl_keras.data.class_names import is_missing
from tl_keras.data.groups import Groups
from tl_keras.data.label_rows import are_marks, encode_rows
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.order import on_host
from tl_keras.data.split_names import parse_split, splits_of_names
from tl_keras.errors import DataError
from tl_keras.untrusted import check_npz

# Names such as x_train and train_images; y_train and train_labels.
_ARRAY_NAMES = {
    "images": re.compile("(?:x|images)_(.+)|(.+)_(?:x|images)", re.IGNORECASE),
    "labels": re.compile("(?:y|labels)_(.+)|(.+)_(?:y|labels)", re.IGNORECASE),
}
# What numpy's kinds of numbers and texts have in common as labels.
_KIND_OF_LABELS = {"b": "integers", "i": "integers", "u": "integers", "U": "names", "S": "names"}


class ArraySource(RandomAccessSource):
    """Images in memory.

    Example:
      ```python
      import numpy as np

      import tl_keras

      images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
      source = tl_keras.ArraySource(images, ["cat", "dog"] * 10)
      assert len(source) == 20
      assert list(source.class_names) == ["cat", "dog"]
      ```

    Args:
      images: uint8 (n, height, width) or (n, height, width, 1, 3 or 4), 0 to 255; greyscale, RGB or RGBA.
      labels: (n,), class names, or integers from 0 to classes - 1; of several labels (n, labels), 1, 0 or -1 for not known; of
        numbers floats, (n,) or (n, columns).
      class_names: Names of the classes, labels or numbers, one for each. None means the sorted names in `labels`, or the integers.
      splits: Split of each image, such as train, val or test, or empty. None declares nothing.
      groups: Group of each image, such as a patient, whose images stay in one split; empty for none. None means no groups.
      name: Name of the source in reports.

    Raises:
      DataError: Types, shapes, lengths or labels do not fit the description above.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | Sequence[int] | Sequence[str],
        *,
        class_names: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        groups: Sequence[str] | Sequence[int] | None = None,
        name: str = "arrays",
    ):
        _require_pixels(name, images)
        label_column = np.asarray(labels)
        if label_column.ndim == 2 and label_column.shape[1] == 1:  # as CIFAR's labels are stored
            label_column = label_column[:, 0]
        splits = [""] * len(images) if splits is None else splits
        group_column = [""] * len(images) if groups is None else groups
        for what, column in (("labels", label_column), ("splits", splits), ("groups", group_column)):
            shape = np.shape(column)
            if shape[:1] != (len(images),) or len(shape) > (2 if what == "labels" else 1):
                raise DataError(
                    f"{name}: expected one entry of {what} per image, shape ({len(images)},). "
                    f"Received shape {shape}. Give one for each image, in the same order."
                )
        in_rows = label_column.ndim == 2 or label_column.dtype.kind == "f"
        encode = _encode_rows if in_rows else _encode_labels
        known_names, positions = encode(name, label_column, class_names)
        super().__init__(
            name=name,
            class_names=known_names,
            ids=[f"array:{position}" for position in range(len(images))],
            labels=positions,
            declared_splits=np.array(
                ["" if is_missing(split) else parse_split(split, where=f"{name}: splits") for split in splits]
            ),
            groups=Groups.of_column("groups", group_column),
        )
        self._pixels = on_host(images if images.ndim == 4 else images[..., np.newaxis])

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`."""
        return tf.gather(self._pixels, index)

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`."""
        return tf.io.encode_png(self.read(tf.constant(index, tf.int64))).numpy()

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        digest = hashlib.sha256(repr(tuple(self._pixels.shape)).encode())
        digest.update(memoryview(self._pixels))  # where they are, which takes no second place for them
        return digest.hexdigest()


def digits_source() -> ArraySource:
    """Returns scikit-learn's 1,797 scanned digits, 8 by 8 pixels, which that package contains."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The scans hold values from 0 to 16; images here hold 0 to 255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return ArraySource(pixels, digits.target, name="digits")


def npz_source(path: str, options: SourceOptions = NO_OPTIONS) -> ArraySource:
    """Reads an .npz file with the layout of keras.datasets or MedMNIST.

    Args:
      path: Path of a file with x_train and y_train, or train_images and train_labels, and the same for other splits.
      options: Options that say what other names of splits mean.

    Raises:
      DataError: The file is missing or is not an .npz file, lacks an array, or holds something other than images and labels.
    """
    name = f"npz:{path}"
    if not os.path.isfile(path):
        raise DataError(f"{name}: expected an .npz file. Received a path without such a file. Check the path.")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{name}: expected an .npz file. Received another or a damaged one. Write it with numpy.savez.")
    try:
        check_npz(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{name}: expected an .npz file of plain arrays. Received one that numpy cannot read ({error}). "
            "Write it with numpy.savez, from arrays of numbers or strings."
        ) from error
    parts, notes = _pairs_of_splits(name, arrays, options)
    images = [arrays[parts[split][0]] for split in parts]
    shapes = {split: array.shape[1:] for split, array in zip(parts, images, strict=True)}
    if len(set(shapes.values())) > 1:
        received = ", ".join(f"{split} {shape}" for split, shape in shapes.items())
        raise DataError(
            f"{name}: expected images of one size and number of channels. Received {received}. Resize them, or write "
            "them as files, which may differ in size."
        )
    columns = {split: arrays[parts[split][1]] for split in parts}
    labels = {split: column[:, 0] if column.shape[1:] == (1,) else column for split, column in columns.items()}
    _require_pairs(name, dict(zip(parts, images, strict=True)), labels)
    source = ArraySource(
        np.concatenate(images),
        np.concatenate(list(labels.values())),
        splits=[split for split, part in zip(parts, images, strict=True) for _ in range(len(part))],
        name=name,
    )
    source.notes = tuple(notes)
    return source


def _pairs_of_splits(
    name: str, arrays: dict[str, np.ndarray], options: SourceOptions
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Returns the names of images and labels of each split, and a note of the arrays that are not used."""
    found: dict[str, dict[str, str]] = {}
    for key in arrays:
        for kind, pattern in _ARRAY_NAMES.items():
            if match := pattern.fullmatch(key):
                found.setdefault(match[1] or match[2], {})[kind] = key
    pairs = {split: (keys["images"], keys["labels"]) for split, keys in found.items() if len(keys) == 2}
    meant = splits_of_names(pairs, options.meanings)
    unknown = [split for split in pairs if not meant[split]]
    if unknown:
        raise DataError(
            f"{name}: expected arrays of train, validation and test. Received {', '.join(unknown)}. Say what they mean: "
            f"--splits={','.join(f'{split}=unused' for split in unknown)}."
        )
    parts: dict[str, tuple[str, str]] = {}
    for split, keys in pairs.items():
        if meant[split] in parts:
            raise DataError(
                f"{name}: expected one pair of arrays for {meant[split]}. Received two. Rename one of them."
            )
        if meant[split] != "unused":
            parts[meant[split]] = keys
    if "train" not in parts:
        raise DataError(
            f"{name}: expected the arrays x_train and y_train (and x_val, y_val, x_test, y_test). "
            f"Received: {', '.join(sorted(arrays))}. Rename them."
        )
    unused = sorted(set(arrays) - {key for keys in parts.values() for key in keys})
    return parts, [f"arrays left out: {', '.join(unused)}"] if unused else []


def _require_pairs(name: str, images: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> None:
    """Raises a DataError unless every split has a label for each image, and all labels are of one kind."""
    lengths = {split: (array.shape[:1], labels[split].shape[:1]) for split, array in images.items()}
    wrong = {split: both for split, both in lengths.items() if both[0] != both[1] or not both[0]}
    if wrong:
        received = ", ".join(
            f"{split} {number_of(count[0], 'image') if count else 'no list of images'} and "
            f"{number_of(others[0], 'label') if others else 'no list of labels'}"
            for split, (count, others) in wrong.items()
        )
        raise DataError(
            f"{name}: expected as many labels as images in each split. Received {received}. Write the pairs that belong together."
        )
    kinds = {(array.shape[1:], _KIND_OF_LABELS.get(array.dtype.kind, array.dtype.kind)) for array in labels.values()}
    if len(kinds) > 1:
        received = ", ".join(f"{split} {array.dtype} {array.shape}" for split, array in labels.items())
        raise DataError(
            f"{name}: expected labels of one kind in all splits. Received {received}. Write all as integers, as names or as rows."
        )


def _require_pixels(name: str, images: np.ndarray) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        received = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(
            f"{name}: expected images as a numpy array of uint8, 0 to 255. Received {received}. "
            "Give 0 to 255: for floats from 0 to 1, (images * 255).round().astype('uint8')."
        )
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3, 4)) or 0 in images.shape:
        raise DataError(
            f"{name}: expected images of shape (n, height, width) or (n, height, width, 1, 3 or 4), none of them 0. "
            f"Received {images.shape}. Put the channels last."
        )


def _encode_rows(
    name: str, labels: np.ndarray, class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns names and labels of rows of 1, 0 and -1, which mark labels, or of numbers."""
    rows = labels.reshape(len(labels), -1)
    if rows.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: expected rows of 1 and 0, or of numbers. Received {rows.dtype}. Give a column for each label."
        )
    marks = labels.ndim == 2 and are_marks(rows.astype(np.float64))
    return encode_rows(name, list(rows), "labels" if marks else "numbers", class_names or ())


def _encode_labels(
    name: str, labels: np.ndarray, class_names: Sequence[str] | None
) -> tuple[Sequence[str], np.ndarray]:
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "surrogateescape")  # the source then refuses such names
    if other := [label for label in labels.tolist() if not isinstance(label, str)] if labels.dtype.kind == "O" else []:
        raise DataError(
            f"{name}: expected names of classes. Received {other[0]} among them. Leave such images out, or convert labels of "
            "numbers: labels.astype(int)."
        )
    if labels.dtype.kind in "UO":
        found, positions = encode_classes(labels.tolist())
        if class_names is None:
            return found, positions
        unknown = sorted(set(found) - set(class_names))
        if unknown:
            raise DataError(
                f"{name}: expected labels among class_names. Received {', '.join(unknown)}. Add them to class_names."
            )
        return class_names, np.array([list(class_names).index(label) for label in found])[positions]
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: expected labels to be integers, class names or numbers. Received {labels.dtype}. Convert them."
        )
    found_labels = np.unique(labels)
    num_classes = len(found_labels) if class_names is None else len(class_names)
    if found_labels[0] < 0 or found_labels[-1] >= num_classes:
        raise DataError(
            f"{name}: expected integer labels from 0 to {num_classes - 1}, for {number_of(num_classes, 'class')}. Received "
            f"{found_labels[0]} to {found_labels[-1]}. Give class_names for all, or np.unique(labels, return_inverse=True)[1]."
        )
    return [str(label) for label in range(num_classes)] if class_names is None else class_names, labels
