"""Asks a trained student for predictions, through its `model.keras`, its SavedModel or its run directory."""

from __future__ import annotations

import abc
import copy
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS, DecisionConfig
from tl_keras.data.base import in_parallel
from tl_keras.data.decoding import decode_image
from tl_keras.data.image_header import ImageFileError, read_image_size
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import BackboneError, ConfigError, DataError
from tl_keras.serving.export import newest_version
from tl_keras.serving.image_inputs import ImageInput, encoded_images, image_inputs
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.tasks.base import Task, task_of
from tl_keras.untrusted import parse_json


class Predictor(abc.ABC):
    """A trained model that answers for images.

    Attributes:
      class_names: Names of the classes, in the order of the labels.
      task: Task of the model, which makes answers and measures of its output.
      takes_texts: Whether it answers for texts, and not images.
    """

    class_names: tuple[str, ...]
    task: Task
    takes_texts: bool

    def prepare(self, image: tf.Tensor) -> tf.Tensor:
        """Returns what `answer` takes of one encoded image, string (), which is decoded as a whole.

        Raises:
          tf.errors.InvalidArgumentError: The image is damaged, when the operations run.
        """
        raise NotImplementedError  # of a model of texts

    @abc.abstractmethod
    def answer(self, prepared: tf.Tensor) -> np.ndarray:
        """Returns the output of `Task.probabilities`, float32 (n, outputs), for a batch from `prepare`."""

    @abc.abstractmethod
    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns the output of `Task.probabilities`, float32 (n, outputs), for n images.

        Args:
          images: Dataset of encoded images, string (), or pixels, uint8 (height, width, channels), or of texts in UTF-8, string ().
          batch_size: Number of images at a time.
        """


class KerasPredictor(Predictor):
    """Predicts with a `model.keras`, through the pipeline that evaluated it in training."""

    def __init__(self, trained: TrainedModel):
        self.class_names = trained.class_names
        self._model = trained.model
        self._preprocess = trained.preprocess
        self.takes_texts = trained.preprocess.served_name == "text"
        self._temperature = trained.statistics.temperature
        self.task = trained.task

    def prepare(self, image: tf.Tensor) -> tf.Tensor:
        """Implements `Predictor.prepare`: the network's input, float32 (size, size, 3)."""
        return self._preprocess.evaluation_transform(self._preprocess.decode(image))

    def answer(self, prepared: tf.Tensor) -> np.ndarray:
        """Implements `Predictor.answer`."""
        logits = self._model.predict_on_batch(np.asarray(prepared))
        return self.task.probabilities(tf.constant(logits / self._temperature)).numpy()

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Implements `Predictor.probabilities`."""
        ready = in_parallel(images, self._preprocess.evaluation_transform)
        logits = self._model.predict(ready.batch(batch_size).prefetch(tf.data.AUTOTUNE), verbose=0)
        return self.task.probabilities(tf.constant(logits / self._temperature)).numpy()

    def features(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns pooled features, float32 (n, feature_dim), for n images, as `probabilities` takes them."""
        model = keras.Model(self._model.input, self._model.get_layer(FEATURES_LAYER).output)
        ready = in_parallel(images, self._preprocess.evaluation_transform)
        return np.asarray(model.predict(ready.batch(batch_size).prefetch(tf.data.AUTOTUNE), verbose=0))


class SavedModelPredictor(Predictor):
    """Predicts with a SavedModel, which contains its own preprocessing."""

    def __init__(self, path: pathlib.Path):
        facts = path / "assets.extra" / "tl_keras.json"
        try:
            known = parse_json(facts.read_bytes())
            names, self.task = known["class_names"], task_of(known)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackboneError(
                f"model: expected a SavedModel written by tl_keras, with {facts}. Received: {path} ({type(error).__name__})."
            ) from error
        self.class_names = tuple(map(str, names))
        self._loaded = open_saved_model(str(path))
        self._serve = self._loaded.signatures["serving_default"]
        (self._takes,) = self._serve.structured_input_signature[1]
        self.takes_texts = self._takes == "text"

    def prepare(self, image: tf.Tensor) -> tf.Tensor:
        """Implements `Predictor.prepare`: the file itself, once it has been decoded; the model decodes it again."""
        with tf.control_dependencies([decode_image(image)]):
            return tf.identity(image)

    def answer(self, prepared: tf.Tensor) -> np.ndarray:
        """Implements `Predictor.answer`."""
        return self._serve(**{self._takes: prepared})[self.task.output_name].numpy()

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Implements `Predictor.probabilities`."""
        if images.element_spec.dtype != tf.string:
            images = in_parallel(images, tf.io.encode_png)
        batches = images.batch(batch_size).prefetch(tf.data.AUTOTUNE)
        name = self.task.output_name
        return np.concatenate([self._serve(**{self._takes: batch})[name].numpy() for batch in batches])


@with_own_keras_settings
def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Loads a `.keras` file, a SavedModel directory, or the `model.keras` of a run directory.

    Raises:
      BackboneError: There is none of them at `path`, or it cannot be read.
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


def with_decision(predictor: Predictor, decision: DecisionConfig | None) -> Predictor:
    """Returns the predictor with another decision between classes, in place of its own; itself without one.

    Args:
      predictor: Predictor of one class per image.
      decision: Costs, or a probability below which no answer is given; thresholds need the images of training.

    Raises:
      ConfigError: The model has another task, or the costs cannot be read.
    """
    if decision is None or not decision.given:
        return predictor
    if predictor.task.label_kind != "class":
        raise ConfigError(
            f"decision: expected a model of one class per image. Received: one of task {predictor.task.name}. Leave costs and "
            "refuse_below out."
        )
    decided = copy.copy(predictor)
    decided.task = predictor.task.with_decision(decision, predictor.class_names)
    return decided


@with_own_keras_settings
def predict_images(
    model: str | os.PathLike[str] | Predictor,
    images: Any,
    *,
    top_k: int = 1,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    decision: DecisionConfig | None = None,
) -> list[dict[str, Any]]:
    """Classifies images, or with a model of texts, texts.

    Example:
      ```python
      import PIL.Image

      import tl_keras

      for row in tl_keras.predict_images("run1", ["photo.jpg", "photos/", PIL.Image.open("photo.jpg")], top_k=2):
          print(row["file"], row["label"], f"{row['score']:.2f}", row["top_k"])
      ```

    Args:
      model: Path of a run directory, a `.keras` file or a SavedModel directory; or what `load_predictor` has made of one, so
        that it is loaded once.
      images: One image or a list of any: a path of a file, or of a directory, in which every image below is taken; the bytes of a
        file; a Pillow image; or RGB pixels, an array (height, width), (height, width, 1), (height, width, 3) or, with alpha,
        (height, width, 4), of integers or floats from 0 to 255; floats are rounded. An array (n, height, width, channels) is n
        images. With a model of texts, one text or a list of them, as `str` or bytes in UTF-8.
      top_k: Number of labels to return for each image, at least 1.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image; a larger image gets an error in its row.
      decision: Decision in place of the model's own, by `costs` or `refuse_below`; None for the model's.

    Returns:
      A row per image, in order: `file`, its path or its position, such as `images[2]`; `label`, `score` (0 to 1) and
      `top_k`, a list of labels and scores; of a model of another task what docs/tasks.md says. An image that is not decoded has
      `file`, `error`, and `reason`, which completes "12 images are ..." and is empty for a damaged one.
      A text's row has `text` in place of `file`.

    Raises:
      BackboneError: The model cannot be read.
      DataError: A path does not exist, an item is not an image, or there are no images.
    """
    predictor = with_decision(model if isinstance(model, Predictor) else load_predictor(model), decision)
    if predictor.takes_texts:
        return _predict_texts(predictor, images, top_k=top_k, batch_size=batch_size)
    inputs = image_inputs(images)
    return list(predicted_rows(predictor, inputs, top_k=top_k, batch_size=batch_size, max_pixels=max_pixels))


def predicted_rows(
    predictor: Predictor, inputs: Sequence[ImageInput], *, top_k: int, batch_size: int, max_pixels: int
) -> Iterator[dict[str, Any]]:
    """Yields the row of each image, in order, as `predict_images` returns them; images are decoded while others are answered.

    Args:
      predictor: Model of images.
      inputs: Images, each of which is read and decoded once, and no more than a few batches ahead.
      top_k: Number of labels for each image.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image.
    """

    def look(index: tf.Tensor, contents: tf.Tensor) -> tuple[tf.Tensor, ...]:
        error, reason = _header_error(contents, max_pixels)
        # An image that is not decoded stands in the batch as an empty one, so that all parts have one shape.
        return index, error, reason, tf.cond(error == b"", lambda: predictor.prepare(contents), lambda: nothing)

    spec = tf.function(predictor.prepare).get_concrete_function(tf.TensorSpec((), tf.string)).structured_outputs
    nothing = tf.constant("") if spec.dtype == tf.string else tf.zeros(spec.shape, spec.dtype)
    looked_at = in_parallel(encoded_images(inputs).enumerate(), look).ignore_errors()
    done = 0
    for indices, errors, reasons, prepared in looked_at.batch(batch_size).prefetch(2):
        whole = np.flatnonzero(errors.numpy() == b"")
        answers: Iterator[dict[str, Any]] = iter(())
        if len(whole):
            ready = prepared if len(whole) == len(errors) else tf.gather(prepared, whole)
            answers = iter(predictor.task.rows(predictor.answer(ready), predictor.class_names, top_k=top_k))
        for index, error, reason in zip(indices.numpy().tolist(), errors.numpy(), reasons.numpy(), strict=True):
            yield from (_refused(inputs[each], _DAMAGED) for each in range(done, index))  # those that raised an error
            refusal = Refusal(error.decode(), reason.decode())
            yield _refused(inputs[index], refusal) if error else {"file": inputs[index].name, **next(answers)}
            done = index + 1
    yield from (_refused(each, _DAMAGED) for each in inputs[done:])


@with_own_keras_settings
def embed_images(predictor: KerasPredictor, images: Any, *, batch_size: int = 32) -> np.ndarray:
    """Returns the pooled features of images, float32 (n, feature_dim), in order: vectors that are near for images alike.

    Args:
      predictor: Model from a `.keras` file.
      images: Images as `predict_images` takes them.
      batch_size: Number of images at a time.

    Raises:
      DataError: A path does not exist, an item is not an image, an image is not decoded, or there are no images.
    """
    inputs = image_inputs(images)
    for image, refusal in zip(inputs, refusals(inputs), strict=True):
        if refusal:
            raise DataError(f"{image.name}: {refusal.error}")
    return predictor.features(encoded_images(inputs), batch_size=batch_size)


def _predict_texts(predictor: Predictor, texts: Any, *, top_k: int, batch_size: int) -> list[dict[str, Any]]:
    """Returns a row for each text, in order: `text`, and what the task answers."""
    texts = [texts] if isinstance(texts, (str, bytes)) else list(texts)
    if wrong := [text for text in texts if not isinstance(text, (str, bytes))]:
        raise DataError(f"texts: expected texts, since the model classifies them. Received: {type(wrong[0]).__name__}.")
    if not texts:
        raise DataError("texts: expected at least one text. Received: none.")
    encoded = tf.data.Dataset.from_tensor_slices(
        [text.encode("utf-8", "replace") if isinstance(text, str) else text for text in texts]
    )
    probabilities = predictor.probabilities(encoded, batch_size=batch_size)
    shown = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts]
    found = predictor.task.rows(probabilities, predictor.class_names, top_k=top_k)
    return [{"text": text, **row} for text, row in zip(shown, found, strict=True)]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The reason why an image is not decoded.

    Attributes:
      error: Line that says what was expected and received.
      reason: Words that complete "12 images are ..."; empty for a damaged file.
    """

    error: str
    reason: str


_DAMAGED = Refusal("expected a whole image that can be read. Received: a damaged or unreadable file.", "")


def refusals(inputs: Sequence[ImageInput], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Refusal | None]:
    """Returns for each image why it is not decoded, or None if it is; each image is decoded once."""

    def look(index: tf.Tensor, contents: tf.Tensor) -> tuple[tf.Tensor, ...]:
        error, reason = _header_error(contents, max_pixels)
        side = tf.cond(error == b"", lambda: tf.reduce_max(tf.shape(decode_image(contents))), lambda: 0)
        return index, error, reason, side

    found: list[Refusal | None] = [_DAMAGED] * len(inputs)  # images that raise an error are skipped below
    looked_at = in_parallel(encoded_images(inputs).enumerate(), look).ignore_errors()
    for index, error, reason, _ in looked_at.as_numpy_iterator():
        found[int(index)] = Refusal(error.decode(), reason.decode()) if error else None
    return found


def _header_error(contents: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns error and reason of a `Refusal` by the header of a file, both string (), and empty if it may be decoded."""

    def header_error(file: bytes) -> tuple[bytes, bytes]:
        try:
            read_image_size(file, max_pixels=max_pixels)
        except ImageFileError as error:
            return str(error).removeprefix("image: ").encode(), error.reason.encode()
        return b"", b""

    error, reason = tf.numpy_function(header_error, [contents], (tf.string, tf.string), stateful=False)
    return tf.ensure_shape(error, ()), tf.ensure_shape(reason, ())


def _refused(image: ImageInput, refusal: Refusal) -> dict[str, Any]:
    return {"file": image.name, "error": refusal.error, "reason": refusal.reason}
