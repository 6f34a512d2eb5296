"""Asks a trained student: from its `model.keras`, its SavedModel, or its run directory."""

from __future__ import annotations

import abc
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.data.base import in_parallel
from tl_keras.data.conversion import readable_path
from tl_keras.data.decoding import decode_image
from tl_keras.data.image_files import IMAGE_SUFFIXES, list_images
from tl_keras.data.image_header import read_image_size
from tl_keras.errors import BackboneError, DataError
from tl_keras.serving.export import newest_version
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.untrusted import parse_json


class Predictor(abc.ABC):
    """A trained model that answers images.

    Attributes:
      class_names: In the order of the probabilities.
    """

    class_names: tuple[str, ...]

    @abc.abstractmethod
    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns float32 (n, classes) for n images.

        Args:
          images: Elements are encoded images, string (), or pixels, uint8 (height, width, channels).
          batch_size: Images at a time.
        """


class KerasPredictor(Predictor):
    """Answers with a `model.keras`, through the pipeline that evaluated it in training."""

    def __init__(self, trained: TrainedModel):
        self.class_names = trained.class_names
        self._model = trained.model
        self._preprocess = trained.preprocess
        self._temperature = trained.statistics.temperature

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """See `Predictor`."""
        ready = in_parallel(images, self._preprocess.evaluation_transform)
        logits = self._model.predict(ready.batch(batch_size).prefetch(tf.data.AUTOTUNE), verbose=0)
        return tf.nn.softmax(logits / self._temperature).numpy()


class SavedModelPredictor(Predictor):
    """Answers with a SavedModel, which does its own preprocessing."""

    def __init__(self, path: pathlib.Path):
        facts = path / "assets.extra" / "tl_keras.json"
        try:
            names = parse_json(facts.read_bytes())["class_names"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackboneError(
                f"model: expected a SavedModel written by tl_keras, with {facts}. Received: {path} ({type(error).__name__})."
            ) from error
        self.class_names = tuple(map(str, names))
        self._loaded = open_saved_model(str(path))
        self._serve = self._loaded.signatures["serving_default"]

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """See `Predictor`."""
        if images.element_spec.dtype != tf.string:
            images = in_parallel(images, tf.io.encode_png)
        batches = images.batch(batch_size).prefetch(tf.data.AUTOTUNE)
        return np.concatenate([self._serve(image_bytes=batch)["probabilities"].numpy() for batch in batches])


def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Loads a `.keras` file, a SavedModel directory, or the `model.keras` of a run directory.

    Raises:
      BackboneError: None of them is at `path`, or it cannot be read.
    """
    path = pathlib.Path(path)
    if (path / "model.keras").is_file():
        return KerasPredictor(load_model(path / "model.keras"))
    if path.is_dir():
        saved_model = newest_version(path) or path
        if (saved_model / "saved_model.pb").is_file():
            return SavedModelPredictor(saved_model)
    if path.suffix == ".keras":
        return KerasPredictor(load_model(path))
    raise BackboneError(
        f"model: expected a run directory with model.keras, a .keras file or a SavedModel directory. Received: {path}."
    )


def predict_images(
    model: str | os.PathLike[str],
    images: Iterable[str | os.PathLike[str]],
    *,
    top_k: int = 1,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[dict[str, Any]]:
    """Classifies image files.

    Args:
      model: See `load_predictor`.
      images: Files, or directories, in which every image below is taken.
      top_k: How many labels to give for each image, at least 1.
      batch_size: Images at a time.
      max_pixels: Of one image; a larger one is an error in its row.

    Returns:
      For each image, in order, `file`, `label`, `score` (0 to 1) and `top_k`, a list of labels and scores; or `file`
      and `error` for a file that is no image.

    Raises:
      BackboneError: The model cannot be read.
      DataError: A path is not there, or no images are.
    """
    files = image_files(images)
    predictor = load_predictor(model)
    readable, errors = readable_files(files, max_pixels=max_pixels)
    rows: dict[str, dict[str, Any]] = {file: {"file": file, "error": error} for file, error in errors.items()}
    if readable:
        encoded = in_parallel(
            tf.data.Dataset.from_tensor_slices([readable_path(file) for file in readable]), tf.io.read_file
        )
        probabilities = predictor.probabilities(encoded, batch_size=batch_size)
        for file, row in zip(readable, probabilities, strict=True):
            best = np.argsort(-row, kind="stable")[:top_k]
            ranked = [{"label": predictor.class_names[i], "score": float(row[i])} for i in best]
            rows[file] = {"file": file, **ranked[0], "top_k": ranked}
    return [rows[file] for file in files]


def image_files(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Returns the files, with directories replaced by the images below them, by the rule of `list_images`."""
    files, _ = list_images(paths)
    missing = next((file for file in files if not pathlib.Path(file).is_file()), None)
    if missing is not None:
        raise DataError(f"images: expected files or directories. Received: {missing}, which is not there.")
    if not files:
        raise DataError(f"images: expected files ending in {', '.join(IMAGE_SUFFIXES)}. Received: none.")
    return files


def readable_files(files: Sequence[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[list[str], dict[str, str]]:
    """Returns the files that decode, in order, and for each of the others why it does not."""

    def header_error(contents: bytes) -> bytes:
        try:
            read_image_size(contents, max_pixels=max_pixels)
        except DataError as error:
            return str(error).removeprefix("image: ").encode()
        return b""

    def look(index, file):
        contents = tf.io.read_file(file)
        error = tf.ensure_shape(tf.numpy_function(header_error, [contents], tf.string, stateful=False), ())
        side = tf.cond(error == b"", lambda: tf.reduce_max(tf.shape(decode_image(contents))), lambda: 0)
        return index, error, side

    listed = tf.data.Dataset.from_tensor_slices([readable_path(file) for file in files]).enumerate()
    errors = dict.fromkeys(files, "expected a whole image that can be read. Received: a damaged or unreadable file.")
    for index, error, _ in in_parallel(listed, look).ignore_errors().as_numpy_iterator():
        errors[files[int(index)]] = error.decode()
    return [file for file in files if not errors[file]], {file: error for file, error in errors.items() if error}
