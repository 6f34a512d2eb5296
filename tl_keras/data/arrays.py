"""Images as numpy arrays: from Python, from an .npz file, or scikit-learn's digits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tl_keras.data.base import RandomAccessSource, encode_classes, on_host, parse_split
from tl_keras.errors import DataError
from tl_keras.untrusted import check_npz


class ArraySource(RandomAccessSource):
    """Images in memory.

    Args:
      images: uint8 (n, height, width) or (n, height, width, 1, 3 or 4), 0 to 255; greyscale, RGB or RGBA.
      labels: (n,), class names, or integers from 0 to classes - 1.
      class_names: One name a class. None: the sorted names in `labels`, or the integers.
      splits: One of train, val, valid, validation, test or empty an image. None: nothing is declared.
      name: What reports call the source.

    Raises:
      DataError: Types, shapes, lengths or labels do not fit the above.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | Sequence[int] | Sequence[str],
        *,
        class_names: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        name: str = "arrays",
    ):
        _require_pixels(name, images)
        label_column = np.asarray(labels)
        splits = [""] * len(images) if splits is None else splits
        for what, column in (("labels", label_column), ("splits", splits)):
            if np.shape(column) != (len(images),):
                raise DataError(
                    f"{name}: expected one entry of {what} an image, shape ({len(images)},). "
                    f"Received shape {np.shape(column)}. Give one for each image, in the same order."
                )
        known_names, positions = _encode_labels(name, label_column, class_names)
        super().__init__(
            name=name,
            class_names=known_names,
            ids=[f"array:{position}" for position in range(len(images))],
            labels=positions,
            declared_splits=np.array([parse_split(split, where=f"{name}: splits") for split in splits]),
        )
        self._pixels = on_host(images if images.ndim == 4 else images[..., np.newaxis])

    def _read(self, index: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._pixels, index)

    def encoded_image(self, index: int) -> bytes:
        """See `Source.encoded_image`."""
        return tf.io.encode_png(self._read(tf.constant(index, tf.int64))).numpy()


def digits_source() -> ArraySource:
    """Returns scikit-learn's 1,797 scanned digits, 8 by 8 pixels, shipped inside that package."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The scans hold 0 to 16; everything here holds 0 to 255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return ArraySource(pixels, digits.target, name="digits")


def npz_source(path: str) -> ArraySource:
    """Reads an .npz file laid out as those of keras.datasets.

    Args:
      path: A file with x_train, y_train and, where it has a test split, x_test and y_test.

    Raises:
      DataError: The file is missing, is no .npz, lacks an array, or holds something else than images and labels.
    """
    name = f"npz:{path}"
    if not Path(path).is_file():
        raise DataError(f"{name}: expected an .npz file. Received a path without one. Check the path.")
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
    splits = [split for split in ("train", "test") if f"x_{split}" in arrays and f"y_{split}" in arrays]
    if "train" not in splits:
        raise DataError(
            f"{name}: expected the arrays x_train and y_train (and x_test, y_test). "
            f"Received: {', '.join(sorted(arrays))}. Rename them."
        )
    images, labels = ([arrays[f"{kind}_{split}"] for split in splits] for kind in "xy")
    return ArraySource(
        np.concatenate(images),
        # CIFAR's labels are a column.
        np.concatenate([column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column for column in labels]),
        splits=[split for split, part in zip(splits, images, strict=True) for _ in range(len(part))],
        name=name,
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


def _encode_labels(
    name: str, labels: np.ndarray, class_names: Sequence[str] | None
) -> tuple[Sequence[str], np.ndarray]:
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
            f"{name}: expected labels to be integers or class names. Received {labels.dtype}. "
            "For one-hot rows give labels.argmax(axis=1)."
        )
    found_labels = np.unique(labels)
    num_classes = len(found_labels) if class_names is None else len(class_names)
    if found_labels[0] < 0 or found_labels[-1] >= num_classes:
        raise DataError(
            f"{name}: expected integer labels from 0 to {num_classes - 1}, for {num_classes} classes. Received "
            f"{found_labels[0]} to {found_labels[-1]}. Give class_names for all, or np.unique(labels, return_inverse=True)[1]."
        )
    return [str(label) for label in range(num_classes)] if class_names is None else class_names, labels
