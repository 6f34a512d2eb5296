"""Export to a SavedModel that answers image bytes, and the proof that it gives training's numbers."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.builder import Student
from tl_keras.data.decoding import decode_image
from tl_keras.errors import ExportError
from tl_keras.training.run_directory import replacing, writing

# Float32 rounding differs between batch sizes and graphs by about 1e-7; another preprocessing shows at 1e-3 and more.
_TOLERANCE = 1e-5
_SECONDS_TO_ANSWER = 600


def export_saved_model(
    student: Student, folder: pathlib.Path, *, class_names: tuple[str, ...], images: list[bytes], logits: np.ndarray
) -> dict[str, Any]:
    """Writes `folder/1`, a version directory as TensorFlow Serving wants it, once it has proven to agree.

    The signature `serving_default` takes `image_bytes`, string (batch,): encoded JPEG, PNG, BMP or GIF of any size. It
    gives `probabilities`, float32 (batch, classes); `label`, string (batch,); `score`, float32 (batch,), of that label.
    It needs TensorFlow alone.

    Args:
      student: What to export.
      folder: Gets the version directory.
      class_names: In the order of the logits.
      images: Encoded images to try it on.
      logits: float32 (len(images), classes), what the training pipeline gives for them.

    Returns:
      For `result.json`: the path, the number of images tried and the largest difference of a probability.

    Raises:
      ExportError: The exported model's probabilities differ by more than 1e-5; nothing is left in `folder/1`.
      WorkdirError: The disk is full or the place cannot be written.
    """
    version = folder / "1"
    with writing(folder):
        folder.mkdir(exist_ok=True)
    with replacing(version) as temporary:
        _write(student, temporary, class_names)
        difference = _difference_in_fresh_process(temporary, images, tf.nn.softmax(logits).numpy())
        if not difference <= _TOLERANCE:
            raise ExportError(
                f"export: expected the training pipeline's probabilities to {_TOLERANCE:g}. Received: a difference of "
                f"{difference:.3g} over {len(images)} validation images. Nothing was exported."
            )
    return {"path": f"{folder.name}/1", "images_compared": len(images), "largest_difference": difference}


def _write(student: Student, path: pathlib.Path, class_names: tuple[str, ...]) -> None:
    """Writes the SavedModel, with the class names among its assets."""
    preprocess, model = student.preprocess, student.model
    size = preprocess.image_size

    def preprocessed(image_bytes):
        return preprocess.evaluation_transform(decode_image(image_bytes))

    def serve(image_bytes):
        images = tf.map_fn(preprocessed, image_bytes, fn_output_signature=tf.TensorSpec((size, size, 3), tf.float32))
        probabilities = tf.nn.softmax(model(images, training=False))
        return {
            "probabilities": probabilities,
            "label": tf.gather(tf.constant(class_names), tf.argmax(probabilities, axis=-1)),
            "score": tf.reduce_max(probabilities, axis=-1),
        }

    # The variables alone, not the Keras layers around them: half the time to write and to load.
    exported = tf.Module()
    exported.weights = [variable.value for variable in model.variables]
    signature = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    tf.saved_model.save(exported, str(path), signatures={"serving_default": signature.get_concrete_function()})
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "labels.txt").write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")


def _difference_in_fresh_process(saved_model: pathlib.Path, images: list[bytes], expected: np.ndarray) -> float:
    """Returns the largest difference between `expected` and what a process with TensorFlow alone answers."""
    script = pathlib.Path(__file__).with_name("answer_alone.py")
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = pathlib.Path(folder, "images.npz"), pathlib.Path(folder, "answers.npy")
        np.savez(questions, **{f"image_{i}": np.frombuffer(image, np.uint8) for i, image in enumerate(images)})
        process = subprocess.run(
            [sys.executable, script, saved_model, questions, answers],
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_ANSWER,
            check=False,
        )
        if process.returncode != 0:
            last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(
                f"export: expected an exported model that answers. Received: {last_line}. Nothing was exported."
            )
        return float(np.abs(np.load(answers) - expected).max())
