"""Holds the forms of a trained model that answer for images: `model.keras`, a SavedModel, and the other exports.

LiteRT, ONNX and OpenVINO compute in their own runtimes; their images are made as in training.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.console import first_line
from tl_keras.data.base import in_parallel
from tl_keras.data.decoding import decode_image
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.serving.formats import FACTS, FORMATS
from tl_keras.serving.graph import answering_function
from tl_keras.serving.model_file import TrainedModel, read_preprocess
from tl_keras.serving.runtime_check import RUNTIMES, open_saved_model
from tl_keras.tasks.base import Task, task_of
from tl_keras.untrusted import parse_json

# One format for each suffix of a file that takes pixels; all of a suffix have one runtime.
_FORMATS = {pathlib.PurePath(each.file).suffix: each for each in FORMATS.values() if not each.takes_files}


class Predictor(abc.ABC):
    """A trained model that answers for images.

    Attributes:
      class_names: Names of the classes, in the order of the labels.
      task: Task of the model, which makes answers and measures of its output.
      takes_texts: Whether it answers for texts, and not images.
      views: Views of an image over which its answers are averaged.
    """

    class_names: tuple[str, ...]
    task: Task
    takes_texts: bool
    views: str = "none"

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
    """Predicts with a `model.keras`, through the pipeline that evaluated it in training.

    Attributes:
      trained: The student.
    """

    def __init__(self, trained: TrainedModel):
        self.class_names = trained.class_names
        self.trained, self._answering = trained, trained.answering()
        self._preprocess = trained.preprocess
        self.takes_texts = trained.preprocess.served_name == "text"
        self._temperature = trained.statistics.temperature
        self.task, self.views = trained.task, trained.views

    def prepare(self, image: tf.Tensor) -> tf.Tensor:
        """Implements `Predictor.prepare`: the network's input, float32 (size, size, 3)."""
        return self._preprocess.evaluation_transform(self._preprocess.decode(image))

    def answer(self, prepared: tf.Tensor) -> np.ndarray:
        """Implements `Predictor.answer`."""
        if keras.backend.backend() == "tensorflow":
            return self._constant_graph(prepared)[self.task.output_name].numpy()
        _, logits = self._answering.predict_on_batch(np.asarray(prepared))
        return self.task.probabilities(tf.constant(logits / self._temperature)).numpy()

    @functools.cached_property
    def _constant_graph(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the function that exports are made of, which takes a fifth of the time of Keras's own on MobileNetV2."""
        return answering_function(self.trained)

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Implements `Predictor.probabilities`."""
        _, logits = self._computed(images, batch_size=batch_size)
        return self.task.probabilities(tf.constant(logits / self._temperature)).numpy()

    def features(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Returns pooled features, float32 (n, feature_dim), for n images, as `probabilities` takes them."""
        features, _ = self._computed(images, batch_size=batch_size)
        return features

    def _computed(self, images: tf.data.Dataset, *, batch_size: int) -> list[np.ndarray]:
        return computed(self._answering, self._preprocess, images, batch_size=batch_size)


def computed(model: keras.Model, preprocess: Preprocess, images: tf.data.Dataset, *, batch_size: int) -> Any:
    """Returns what a model makes of images, float32 (n, ...) for each output, as `Predictor.probabilities` takes them."""
    ready = in_parallel(images, preprocess.evaluation_transform)
    return model.predict(ready.batch(batch_size).prefetch(tf.data.AUTOTUNE), verbose=0)


@contextlib.contextmanager
def _loading(version: pathlib.Path, runtime: str) -> Iterator[None]:
    """Turns any error of a runtime that loads a version directory into a BackboneError of one line."""
    try:
        yield
    except Exception as error:  # TensorFlow and each other runtime have their own types
        raise BackboneError(
            f"model: expected an export that {runtime} can load. Received: {version} ({first_line(error)}). Export the run again."
        ) from error


class SavedModelPredictor(Predictor):
    """Predicts with a SavedModel, which contains its own preprocessing.

    Args:
      path: Version directory, such as `run1/saved_model/1`.

    Raises:
      BackboneError: It is none that tl_keras wrote, or cannot be read.
    """

    def __init__(self, path: pathlib.Path):
        facts = path / "assets.extra" / FACTS
        try:
            known = parse_json(facts.read_bytes())
            names, self.task = known["class_names"], task_of(known)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackboneError(
                f"model: expected a SavedModel written by tl_keras, with {facts}. Received: {path} ({type(error).__name__})."
            ) from error
        self.class_names = tuple(map(str, names))
        with _loading(path, "saved_model"):
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


class ExportedPredictor(Predictor):
    """Predicts with a version directory of a format that takes pixels, which are made as in training.

    Args:
      version: Version directory, such as `run1/litert_int8/1`.

    Raises:
      BackboneError: It is none that tl_keras wrote, or cannot be read.
      DependencyError: The runtime is not installed.
    """

    def __init__(self, version: pathlib.Path):
        try:
            known = parse_json((version / FACTS).read_bytes())
            self.class_names = tuple(map(str, known["class_names"]))
            self.task, self._preprocess = task_of(known), read_preprocess(known["preprocess"])
            (file,) = (path for path in version.iterdir() if path.suffix in _FORMATS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackboneError(
                f"model: expected an export written by tl_keras, with {FACTS}. Received: {version} ({type(error).__name__})."
            ) from error
        chosen = _FORMATS[file.suffix]
        module = chosen.modules[-1]  # the runtime's own, behind the converter's
        if importlib.util.find_spec(module) is None:
            raise DependencyError(f"model: expected the package {module}. Run: pip install 'tl_keras[{chosen.extra}]'")
        self.takes_texts = self._preprocess.served_name == "text"
        self.views = known.get("test_time_augmentation", "none")
        with _loading(version, chosen.runtime):
            self._ask = RUNTIMES[chosen.runtime](str(file), self.task.output_name)

    def prepare(self, image: tf.Tensor) -> tf.Tensor:
        """Implements `Predictor.prepare`: the network's input, float32 (size, size, 3)."""
        return self._preprocess.evaluation_transform(self._preprocess.decode(image))

    def answer(self, prepared: tf.Tensor) -> np.ndarray:
        """Implements `Predictor.answer`."""
        return self._ask(list(np.asarray(prepared)), (self.task.output_name,))[self.task.output_name]

    def probabilities(self, images: tf.data.Dataset, *, batch_size: int) -> np.ndarray:
        """Implements `Predictor.probabilities`."""
        ready = in_parallel(images, self._preprocess.evaluation_transform)
        return np.concatenate([self.answer(batch) for batch in ready.batch(batch_size).prefetch(tf.data.AUTOTUNE)])
