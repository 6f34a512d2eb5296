"""The proof that an exported model gives training's numbers: asked again, in a process that knows nothing of training."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from tl_keras.data.base import Source
from tl_keras.data.pipeline import evaluation_order
from tl_keras.errors import BackboneError, ExportError
from tl_keras.serving.profile import evenly
from tl_keras.training.run_directory import replacing

# Spread over the classes; an export of the wrong preprocessing differs on the first.
_IMAGES = 32
_SECONDS_TO_ANSWER = 600


@dataclasses.dataclass(frozen=True)
class Proof:
    """Validation images and what the training pipeline gave for them; kept in the run directory as `proof.npz`.

    Attributes:
      images: Encoded images.
      logits: float32 (len(images), classes).
    """

    images: tuple[bytes, ...]
    logits: np.ndarray

    def save(self, path: pathlib.Path) -> None:
        """Writes the proof, whole or not at all.

        Raises:
          WorkdirError: The disk is full or the place cannot be written.
        """
        with replacing(path) as temporary:
            np.savez(temporary, logits=self.logits, **_named([np.frombuffer(image, np.uint8) for image in self.images]))

    @classmethod
    def load(cls, path: pathlib.Path) -> Proof:
        """Reads what `save` wrote.

        Raises:
          BackboneError: It is not there.
        """
        if not path.is_file():
            raise BackboneError(f"export: expected {path}, which training writes. Received: a directory without it.")
        with np.load(path) as file:
            count = len(file.files) - 1
            return cls(tuple(file[f"image_{i}"].tobytes() for i in range(count)), file["logits"])


def proof_of(source: Source, validation: np.ndarray, logits: np.ndarray) -> Proof:
    """Returns a proof with at most 32 validation images, spread over all.

    Args:
      source: Where the images lie.
      validation: int64 (m,), which of them are for validation.
      logits: float32 (m, classes), in the order of `evaluation_order`.
    """
    chosen = evenly(np.arange(len(validation)), _IMAGES)
    order = evaluation_order(source, validation)[chosen]
    return Proof(tuple(source.encoded_image(int(index)) for index in order), logits[chosen])


def answers_in_fresh_process(runtime: str, model: pathlib.Path, questions: list[np.ndarray]) -> np.ndarray:
    """Returns the probabilities, float32 (n, classes), that a runtime gives without tl_keras and Keras.

    Args:
      runtime: One of `tl_keras.serving.answer_alone`.
      model: What the runtime loads.
      questions: Bytes as uint8 (length,), or pixels, float32 (height, width, 3).

    Raises:
      ExportError: The model cannot be loaded, or does not answer in ten minutes.
    """
    script = pathlib.Path(__file__).with_name("answer_alone.py")
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = pathlib.Path(folder, "questions.npz"), pathlib.Path(folder, "answers.npy")
        np.savez(asked, **_named(questions))
        try:
            process = subprocess.run(
                [sys.executable, script, runtime, model, asked, answered],
                capture_output=True,
                text=True,
                timeout=_SECONDS_TO_ANSWER,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"export: expected an exported model that answers within {_SECONDS_TO_ANSWER:g} seconds. Received: no "
                "answer. Nothing was exported; try again on a machine that is less busy, or another format."
            ) from error
        if process.returncode != 0:
            last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(
                f"export: expected an exported model that answers. Received: {last_line}. Nothing was exported."
            )
        return np.load(answered)


def compare(answers: np.ndarray, expected: np.ndarray, *, tolerance: float | None) -> dict[str, Any]:
    """Compares two sets of probabilities, float32 (n, classes).

    Args:
      answers: Of the exported model.
      expected: Of the training pipeline.
      tolerance: The largest difference allowed; None: any, it is only stated.

    Returns:
      `images_compared`, `largest_difference` and `top_1_agreement`, the part of the images with the same best class.

    Raises:
      ExportError: They differ by more.
    """
    difference = float(np.abs(answers - expected).max())
    if not difference <= (1.0 if tolerance is None else tolerance):  # also where it is NaN
        raise ExportError(
            f"export: expected the training pipeline's probabilities to {tolerance or 1:g}. Received: a difference of "
            f"{difference:.3g} over {len(expected)} validation images. Nothing was exported."
        )
    agreement = float(np.mean(answers.argmax(axis=-1) == expected.argmax(axis=-1)))
    return {"images_compared": len(expected), "largest_difference": difference, "top_1_agreement": agreement}


def _named(images: list[np.ndarray]) -> dict[str, Any]:
    return {f"image_{i}": image for i, image in enumerate(images)}
