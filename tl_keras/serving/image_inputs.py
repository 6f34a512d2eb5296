"""Turns images as a caller has them (files, bytes, Pillow images, arrays) into encoded images."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.data.base import as_readable, in_parallel
from tl_keras.data.conversion import png_of
from tl_keras.data.image_files import list_images
from tl_keras.errors import DataError

_EXPECTED = (
    "a path, bytes, a Pillow image, an array (height, width) or (height, width, 1, 3 or 4) of values 0 to 255, "
    "or a list of these"
)


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """An image to classify.

    Attributes:
      name: Path of the file, or position in the caller's list, such as `images[2]`.
      contents: Encoded image; None means that of the file.
    """

    name: str
    contents: bytes | None = None


def image_inputs(images: Any) -> list[ImageInput]:
    """Returns the caller's images in encoded form, in order, with directories replaced by the images below them.

    A file is taken as often as it is named; images of a directory that were given before are not repeated.

    Args:
      images: See `tl_keras.serving.predictor.predict_images`.

    Raises:
      DataError: A path does not exist, an array is not an image, an item has another type, or there are no images.
    """
    inputs: list[ImageInput] = []
    files: set[str] = set()
    for position, image in enumerate(_listed(images)):
        if isinstance(image, (str, os.PathLike)):
            given, _ = list_images(image)
            named = given == [os.fspath(image)]
            inputs += [ImageInput(file) for file in given if named or file not in files]
            files.update(given)
        else:
            name = f"images[{position}]"
            inputs.append(ImageInput(name, _encoded(image, name)))
    _require_images(inputs)
    return inputs


def encoded_images(inputs: Iterable[ImageInput]) -> tf.data.Dataset:
    """Returns the encoded images, string (), in order; files are read when they are needed."""
    return in_parallel(places_of(inputs), encoded_image)


def places_of(inputs: Iterable[ImageInput]) -> tf.data.Dataset:
    """Returns for each image the path of its file, empty if it has none, and its contents, both string ()."""
    # Names of files are of any bytes.
    paths = [os.fsencode(image.name) if image.contents is None else b"" for image in inputs]
    return tf.data.Dataset.from_tensor_slices((paths, [image.contents or b"" for image in inputs]))


def encoded_image(path: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
    """Returns the encoded image, string (), of an element of `places_of`."""
    return as_readable(tf.cond(path == "", lambda: given, lambda: tf.io.read_file(path)))


def _listed(images: Any) -> Iterable[Any]:
    if isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview)) or _is_pillow(images):
        return [images]
    if hasattr(images, "__array__"):
        array = np.asarray(images)
        is_list = array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OU")  # images, or a column of a table
        return array if is_list else [array]
    if isinstance(images, Iterable):
        return images
    raise DataError(f"images: expected {_EXPECTED}. Received: {type(images).__name__}.")


def _is_pillow(image: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")  # a caller with such an image has imported it
    return pillow is not None and isinstance(image, pillow.Image)


def _encoded(image: Any, name: str) -> bytes:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if _is_pillow(image):
        return png_of(image)
    if hasattr(image, "__array__"):
        return tf.io.encode_png(_pixels(np.asarray(image), name)).numpy()
    raise DataError(f"{name}: expected {_EXPECTED}. Received: {type(image).__name__}.")


def _pixels(array: np.ndarray, name: str) -> np.ndarray:
    """Returns an array as uint8 (height, width, channels); fractions are rounded to the nearest integer."""
    is_image = array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)))
    if not is_image or array.dtype.kind not in "uif":
        raise DataError(f"{name}: expected {_EXPECTED}. Received: an array of {array.dtype}, shape {array.shape}.")
    lowest, highest = array.min(), array.max()
    if not (lowest >= 0 and highest <= 255):  # true for NaN as well
        raise DataError(
            f"{name}: expected values from 0 to 255. Received: {lowest} to {highest}. Undo the subtraction or division."
        )
    if array.dtype.kind == "f" and 0 < highest <= 1:
        raise DataError(
            f"{name}: expected values from 0 to 255. Received: fractions up to {highest}. Multiply by 255, or give uint8."
        )
    return np.atleast_3d(np.rint(array).astype(np.uint8))


def _require_images(inputs: list[ImageInput]) -> None:
    missing = next((each for each in inputs if each.contents is None and not pathlib.Path(each.name).is_file()), None)
    if missing is not None:
        raise DataError(f"images: expected files or directories. Received: {missing.name}, which does not exist.")
    if not inputs:
        raise DataError("images: expected JPEG, PNG, BMP, GIF or WebP files. Received: none.")
