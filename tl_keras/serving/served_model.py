"""Holds one version of a SavedModel for the server: what it takes, what it answers, and how large an image may be."""

from __future__ import annotations

import gc
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.console import first_line
from tl_keras.data.image_header import read_image_size
from tl_keras.errors import BackboneError, DataError
from tl_keras.serving.exported_signatures import exported_signatures
from tl_keras.serving.formats import FACTS
from tl_keras.serving.monitoring import Watch
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.tasks.base import task_of

SIGNATURES = ("serving_default", "features")


def exempt_from_collection() -> None:
    """Collects garbage, and has the collector pass over what is left from now on.

    Python's collector looks at all objects now and then, and a network's graph has so many that every answer waits for it for a
    third of a second. What was exempted before is looked at again, since a version that was replaced is among it. It takes as
    long, so it is called where no answer waits, or seldom; `gc.unfreeze()` takes it back.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class ServedModel:
    """One version of a model.

    Attributes:
      number: Number of the version.
      takes: Name of its input: `image_bytes` or `text`.
      class_names: Names of the classes, in the order of the outputs.
      task: Task that made its answers.
      watch: Statistics of its answers, compared with those of validation.
      metadata: Its signatures in the format of TensorFlow Serving's REST API.
      identity: Facts that decide its features, as `tl_keras.training.embedding.Embedder` has them: `view` and `weights`.

    Args:
      version: Directory of the version.
      name: Name of the model for clients.
      runtime: Runtime that computes the network: `saved_model`, or another by the export of its name beside the SavedModel's
        directory.

    Raises:
      BackboneError: It cannot be read.
    """

    def __init__(self, version: pathlib.Path, *, name: str, runtime: str = "saved_model"):
        self.number = int(version.name)
        try:
            self._loaded = open_saved_model(str(version))
            self.metadata = _metadata(version, name=name)
            facts = json.loads((version / "assets.extra" / FACTS).read_text(encoding="utf-8"))
            self.task = task_of(facts)
            self.identity = {"view": facts["preprocess"], "weights": facts.get("weights_sha256", "")}
            self.class_names: tuple[str, ...] = tuple(facts["class_names"])
            answers = self.task.answer_names(self.class_names)
            (self.takes,) = self._loaded.signatures["serving_default"].structured_input_signature[1]
            noun = "text" if self.takes == "text" else "image"
            self.watch = Watch(answers, np.array(facts["validation_answers"], np.int64), noun)
        except (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, tf.errors.OpError) as error:
            found = f"{version} ({type(error).__name__}: {first_line(error)})"
            raise BackboneError(f"model: expected a SavedModel written by tl_keras. Received: {found}.") from error
        self._preprocess = None if self.takes == "text" else PreprocessSpec.from_json(facts["preprocess"])
        self._signatures = self._loaded.signatures
        if runtime != "saved_model":
            if self._preprocess is None:
                raise BackboneError(
                    f"runtime: expected a model of images for {runtime}. Received: one of texts. Leave it out."
                )
            self._signatures = exported_signatures(
                runtime,
                version.parent.parent / runtime,
                weights=self.identity["weights"],
                views=facts.get("test_time_augmentation", "none"),
                preprocess=self._preprocess,
                task=self.task,
                class_names=self.class_names,
            )

    def ask(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Returns a signature's outputs for each image or text as JSON values.

        Raises:
          DataError: One of them is damaged.
        """
        try:
            answer = self._signatures[signature](**{self.takes: tf.constant(images)})
        except tf.errors.InvalidArgumentError as error:
            raise DataError("image: expected a file that can be decoded. Received: a damaged one.") from error
        columns = {name: _json_values(np.asarray(value)) for name, value in answer.items()}
        return [{name: column[row] for name, column in columns.items()} for row in range(len(images))]

    def size(self, image: bytes, *, max_pixels: int) -> tuple[int, int]:
        """Returns the largest number of pixels held while an image is answered, and its cost, from the header of the file.

        The cost is the number of pixels that decoding passes over: a progressive JPEG takes a pass for each scan.

        Raises:
          DataError: The image is too large, takes too long to decode, or is none.
        """
        if self._preprocess is None:  # a text, whose length the request's bounds
            return len(image), len(image)
        size = read_image_size(image, max_pixels=max_pixels)
        resized = self._preprocess.resized_pixels(size.height, size.width)
        if resized > max_pixels:
            raise DataError(
                f"image: too large. Expected at most {max_pixels:,} pixels while it is resized for the model. Received: "
                f"{size.width} x {size.height}, which takes {resized:,}. Send a less narrow one."
            )
        return max(size.pixels, resized), size.pixels * size.scans + resized

    def sizes(self, images: Sequence[bytes], *, max_pixels: int) -> list[tuple[int, int]]:
        """Returns `size` of each image of a request.

        Raises:
          DataError: One of them is refused; its place among several is said.
        """
        found = []
        for position, image in enumerate(images, start=1):
            try:
                found.append(self.size(image, max_pixels=max_pixels))
            except DataError as error:
                which = f"image {position} of {len(images)}" if len(images) > 1 else "image"
                raise DataError(str(error).replace("image", which, 1)) from error
        return found

    def example(self) -> bytes:
        """Returns a text, or a photo of the size that the model takes, for measuring how fast it answers."""
        if self._preprocess is None:
            return b"What is a caldera?"
        side = self._preprocess.image_size
        ramp = np.add.outer(np.arange(side), np.arange(side)) % 256
        pixels = np.stack([ramp, ramp.T, 255 - ramp], axis=-1).astype(np.uint8)
        return tf.io.encode_jpeg(pixels).numpy()


def _json_values(values: Any) -> list[Any]:
    decoded = np.char.decode(values.astype(bytes), "utf-8") if values.dtype == object else values
    return decoded.tolist()


def _metadata(version: pathlib.Path, *, name: str) -> dict[str, Any]:
    """Returns the supported signatures in the format of TensorFlow Serving's REST API."""
    saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signatures = {
        key: json_format.MessageToDict(
            signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for key, signature in saved.meta_graphs[0].signature_def.items()
        if key in SIGNATURES
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version.name},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
