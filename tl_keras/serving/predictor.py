"""Asks a trained student for predictions, through its `model.keras`, its SavedModel or its run directory."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_MAX_PIXELS, DecisionConfig
from tl_keras.console import number_of
from tl_keras.data.base import untuned
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import BackboneError, ConfigError, DataError
from tl_keras.serving.answering_models import ExportedPredictor, KerasPredictor, Predictor, SavedModelPredictor
from tl_keras.serving.export import newest_version
from tl_keras.serving.formats import FACTS
from tl_keras.serving.image_inputs import ImageInput, encoded_image, encoded_images, image_inputs, places_of
from tl_keras.serving.model_file import load_model
from tl_keras.serving.refusals import DAMAGED, Refusal, header_error, refusals
from tl_keras.user_folders import expanded

# Number of batches that are decoded at a time.
_BATCHES_AT_A_TIME = os.cpu_count() or 1


@with_own_keras_settings
def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Loads a `.keras` file, the directory of an export, or the `model.keras` of a run directory.

    Raises:
      BackboneError: There is none of them at `path`, or it cannot be read.
      DependencyError: The runtime of an export is not installed.
    """
    path = expanded(path)
    if (path / "model.keras").is_file():
        return KerasPredictor(load_model(path / "model.keras"))
    if path.is_dir():
        version = newest_version(path) or path
        if (version / "saved_model.pb").is_file():
            return SavedModelPredictor(version)
        if (version / FACTS).is_file():
            return ExportedPredictor(version)
    if path.suffix == ".keras":
        return KerasPredictor(load_model(path))
    begun, inside = (path / "config.json").is_file(), sorted(path.glob("*/seed_*/model.keras"))
    if inside:
        raise BackboneError(
            f"model: expected one run. Received: {path}, which holds {number_of(len(inside), 'run')}. Name one of them, such as "
            f"{inside[0].parent}."
        )
    raise BackboneError(
        f"model: expected a run directory with model.keras, a .keras file or the directory of an export. Received: {path}"
        f"{', whose run has not ended. Give its command again: it goes on.' if begun else '. Check the path.'}"
    )


def with_views(predictor: Predictor, views: str) -> Predictor:
    """Returns the predictor such that it answers by the mean over views of each image; itself for `none`.

    Args:
      predictor: Predictor of images by a `model.keras`.
      views: See `tl_keras.serving.view_averaging`.

    Raises:
      ConfigError: It is an exported model, or one of texts, or there are no such views.
    """
    if views == "none":
        return predictor
    if not isinstance(predictor, KerasPredictor):
        raise ConfigError(
            f"test_time_augmentation: expected a run directory or a .keras file. Received: {views}, and an exported model, which "
            "answers as it was exported. Give the run, or export it by python -m tl_keras.export --test_time_augmentation."
        )
    averaging = KerasPredictor(predictor.trained.with_views(views))
    averaging.task = predictor.task  # with its decision, which may be another than the model's own
    return averaging


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
    views: str = "none",
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
      model: Path of a run directory, a `.keras` file or the directory of an export; or what `load_predictor` has made of one, so
        that it is loaded once.
      images: One image or a list of any: a path of a file, or of a directory, in which every image below is taken; the bytes of a
        file; a Pillow image; or RGB pixels, an array (height, width), (height, width, 1), (height, width, 3) or, with alpha,
        (height, width, 4), of integers or floats from 0 to 255; floats are rounded. An array (n, height, width, channels) is n
        images. With a model of texts, one text or a list of them, as `str` or bytes in UTF-8.
      top_k: Number of labels to return for each image, at least 1.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image; a larger image gets an error in its row.
      decision: Decision in place of the model's own, by `costs` or `refuse_below`; None for the model's.
      views: Test-time augmentation: `mirror` averages the answers for an image and its mirror image, `crops` those for its middle
        and four corners.

    Returns:
      A row per image, in order: `file`, its path or its position, such as `images[2]`; `label`, `score` (0 to 1) and
      `top_k`, a list of labels and scores; of a model of another task what docs/tasks.md says. An image that is not decoded has
      `file`, `error`, and `reason`, which completes "12 images are ..." and is empty for a damaged one.
      A text's row has `text` in place of `file`.

    Raises:
      BackboneError: The model cannot be read.
      ConfigError: `top_k` or `batch_size` is below 1.
      DataError: A path does not exist, an item is not an image, or there are no images.
    """
    for name, number in (("top_k", top_k), ("batch_size", batch_size)):
        if number < 1:
            raise ConfigError(f"{name}: expected 1 or more. Received: {number}. Leave it out for the usual number.")
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    predictor = with_decision(with_views(predictor, views), decision)
    if predictor.takes_texts:
        return _predict_texts(predictor, images, top_k=top_k, batch_size=batch_size)
    inputs = image_inputs(images)
    return list(predicted_rows(predictor, inputs, top_k=top_k, batch_size=batch_size, max_pixels=max_pixels))


def predicted_rows(
    predictor: Predictor, inputs: Sequence[ImageInput], *, top_k: int, batch_size: int, max_pixels: int
) -> Iterator[dict[str, Any]]:
    """Yields the row of each image, in order, as `predict_images` returns them; images are decoded while others are answered.

    Which images are answered together depends on their places alone, also where some are damaged: rounding, which depends on the
    size of a batch, is then the same for any part of the images that begins and ends with a batch.

    Args:
      predictor: Model of images.
      inputs: Images, each of which is read and decoded once, and no more than a few batches ahead.
      top_k: Number of labels for each image.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image.
    """

    def look(index: tf.Tensor, place: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        contents = encoded_image(*place)
        error, reason = header_error(contents, max_pixels)
        # An image that is not decoded stands in the batch as an empty one, so that all parts have one shape.
        return index, error, reason, tf.cond(error == b"", lambda: predictor.prepare(contents), lambda: nothing)

    def batch_of(*places: Any) -> tf.data.Dataset:
        """Returns a dataset of one batch, or of none if all its images raise an error."""
        looked_at = tf.data.Dataset.from_tensor_slices(places).map(untraced(look))
        return looked_at.ignore_errors().batch(batch_size)

    spec = tf.function(predictor.prepare).get_concrete_function(tf.TensorSpec((), tf.string)).structured_outputs
    nothing = tf.constant("") if spec.dtype == tf.string else tf.zeros(spec.shape, spec.dtype)
    untraced = tf.autograph.experimental.do_not_convert
    batches = places_of(inputs).enumerate().batch(batch_size)
    looked_at = batches.interleave(
        untraced(batch_of), cycle_length=_BATCHES_AT_A_TIME, num_parallel_calls=_BATCHES_AT_A_TIME, deterministic=True
    )
    done = 0
    for indices, errors, reasons, prepared in untuned(looked_at.prefetch(1)):
        whole = np.flatnonzero(errors.numpy() == b"")
        answers: Iterator[dict[str, Any]] = iter(())
        if len(whole):
            ready = prepared if len(whole) == len(errors) else tf.gather(prepared, whole)
            answers = iter(predictor.task.rows(predictor.answer(ready), predictor.class_names, top_k=top_k))
        for index, error, reason in zip(indices.numpy().tolist(), errors.numpy(), reasons.numpy(), strict=True):
            yield from (_refused(inputs[each], DAMAGED) for each in range(done, index))  # those that raised an error
            refusal = Refusal(error.decode(), reason.decode())
            yield _refused(inputs[index], refusal) if error else {"file": inputs[index].name, **next(answers)}
            done = index + 1
    yield from (_refused(each, DAMAGED) for each in inputs[done:])


class GivesFeatures(Protocol):
    """A network that makes features of images, such as `KerasPredictor`."""

    def features(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns pooled features, float32 (n, feature_dim), for n images, as `Predictor.probabilities` takes them."""


@with_own_keras_settings
def embed_images(predictor: GivesFeatures, images: Any, *, batch_size: int = 32) -> np.ndarray:
    """Returns the pooled features of images, float32 (n, feature_dim), in order: vectors that are near for images alike.

    Args:
      predictor: Model from a `.keras` file, or another that makes features.
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


def _refused(image: ImageInput, refusal: Refusal) -> dict[str, Any]:
    return {"file": image.name, "error": refusal.error, "reason": refusal.reason}
