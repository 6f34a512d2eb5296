"""Proves that an exported model reproduces training's numbers, in a process that knows nothing of training."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.data.base import Source
from tl_keras.data.pipeline import evaluation_order
from tl_keras.errors import BackboneError, ExportError
from tl_keras.files import reading, replacing, writing
from tl_keras.serving.student_statistics import evenly
from tl_keras.tasks.base import Task

# Number of images, spread over the classes; an export with wrong preprocessing differs on the first one.
_IMAGES = 32
_SECONDS_TO_ANSWER = 600
# Change of a probability per unit of logit / temperature: float32 rounds the quotient, and so the exponent, to 6e-8 of itself.
_SOFTMAX_ROUNDING = 1e-6
# The same where weights have 11 bits, of which the temperature is one. Such formats have a tolerance above `_FLOAT32_AT_MOST`.
_FLOAT16_ROUNDING = 2.0**-11
_FLOAT32_AT_MOST = 1e-3


@dataclasses.dataclass(frozen=True)
class ParityRecord:
    """Validation images with the training pipeline's logits for them, kept in the run directory as `proof.npz`.

    Attributes:
      images: Encoded images.
      logits: float32 (len(images), classes), from the training pipeline.
    """

    images: tuple[bytes, ...]
    logits: np.ndarray

    def save(self, path: pathlib.Path) -> None:
        """Writes the record, completely or not at all.

        Raises:
          WorkdirError: The disk is full, or the place is not writable.
        """
        with replacing(path) as temporary:
            np.savez(temporary, logits=self.logits, **_named([np.frombuffer(image, np.uint8) for image in self.images]))

    @classmethod
    def load(cls, path: pathlib.Path) -> ParityRecord:
        """Reads a record that `save` wrote.

        Raises:
          BackboneError: The file does not exist.
        """
        if not path.is_file():
            raise BackboneError(f"export: expected {path}, which training writes. Received: a directory without it.")
        with reading(path), path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            count = len(file.files) - 1
            return cls(tuple(file[f"image_{i}"].tobytes() for i in range(count)), file["logits"])


@dataclasses.dataclass(frozen=True)
class ExportedAnswers:
    """The outputs of an exported model for some images, both float32 (n, classes).

    Attributes:
      logits: Logits before the temperature.
      probabilities: Probabilities that it serves.
      milliseconds: Median time of one image by itself on this machine, decoding included where files are sent; None if unknown.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    milliseconds: float | None = None


def make_parity_record(source: Source, validation: np.ndarray, logits: np.ndarray) -> ParityRecord:
    """Returns a record of at most 32 validation images, spread over all.

    Args:
      source: Source of the images.
      validation: int64 (m,), indices of the validation images.
      logits: float32 (m, classes), in the order of `evaluation_order`.
    """
    chosen = evenly(np.arange(len(validation)), _IMAGES)
    order = evaluation_order(source, validation)[chosen]
    return ParityRecord(tuple(source.encoded_image(int(index)) for index in order), logits[chosen])


class FreshProcess:
    """A process without tl_keras and Keras that asks one exported model; it imports the runtime while the model is written.

    Args:
      runtime: Name of a runtime of `tl_keras.serving.runtime_check`.
      output_name: Name of the output beside the logits; see `Task.output_name`.
    """

    def __init__(self, runtime: str, *, output_name: str = "probabilities"):
        script = pathlib.Path(__file__).with_name("runtime_check.py")
        self._process = subprocess.Popen(
            [sys.executable, script, runtime, output_name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> FreshProcess:
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends the process, whatever it has come to."""
        self._process.kill()
        self._process.communicate()

    def ask(self, model: pathlib.Path, questions: list[np.ndarray], *, scratch: pathlib.Path) -> ExportedAnswers:
        """Returns the outputs of an exported model; the process answers once.

        Args:
          model: File or directory that the runtime loads.
          questions: Bytes of image files as uint8 (length,), or pixels, float32 (height, width, 3).
          scratch: Empty directory through which the two processes exchange files.

        Raises:
          ExportError: The model cannot be loaded, or gives no answer within ten minutes.
        """
        asked, answered = scratch / "questions.npz", scratch / "answers.npz"
        with writing(asked):
            np.savez(asked, **_named(questions))
        try:
            _, said = self._process.communicate(
                json.dumps([str(model), str(asked), str(answered)]), timeout=_SECONDS_TO_ANSWER
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"export: expected an exported model that answers within {_SECONDS_TO_ANSWER:g} seconds. Received: no "
                "answer. Nothing was exported; try again on a machine that is less busy, or another format."
            ) from error
        if self._process.returncode != 0:
            last_line = (said.strip().splitlines() or [f"exit status {self._process.returncode}"])[-1]
            raise ExportError(
                f"export: expected an exported model that answers. Received: {last_line}. Nothing was exported."
            )
        with np.load(answered) as file:
            return ExportedAnswers(file["logits"], file["probabilities"], float(file["milliseconds"]))


def compare(
    answers: ExportedAnswers,
    expected: np.ndarray,
    *,
    temperature: float,
    tolerance: float | None,
    task: Task,
) -> dict[str, Any]:
    """Compares an exported model's outputs with the logits of the training pipeline.

    Logits are compared relative to the largest: the probabilities of a saturated model hide other preprocessing, and those
    near a tie, divided by a small temperature, magnify rounding. The probabilities must be those that the task makes of the logits.

    Args:
      answers: Outputs of the exported model.
      expected: float32 (n, classes), logits of the training pipeline.
      temperature: Divisor that the exported model applies to logits before the softmax.
      tolerance: Largest allowed difference of a logit, as a part of the largest absolute one; None allows any and only
        reports it.
      task: Task of the model, which makes probabilities and answers of logits.

    Returns:
      `images_compared`; `largest_logit_difference`, as a part of the largest absolute logit; `largest_difference`, of a
      probability; and `top_1_agreement`, the part of the images with the same best class.

    Raises:
      ExportError: The outputs differ by more, or are not finite.
    """
    largest = max(float(np.abs(expected).max()), np.finfo(np.float32).tiny)
    difference = float(np.abs(answers.logits - expected).max()) / largest
    if not difference <= (np.inf if tolerance is None else tolerance) or not np.isfinite(answers.probabilities).all():
        raise ExportError(
            f"export: expected the training pipeline's logits to {tolerance or np.inf:g} of the largest. Received: a difference "
            f"of {difference:.3g} over {len(expected)} validation images. Nothing was exported: report it, unless a file of "
            "the run was changed."
        )
    own, wanted = (
        task.probabilities(tf.constant(logits.astype(np.float64) / temperature)).numpy()
        for logits in (answers.logits, expected)
    )
    of_quotient = _FLOAT16_ROUNDING if tolerance and tolerance > _FLOAT32_AT_MOST else _SOFTMAX_ROUNDING
    rounding = of_quotient * max(1.0, largest / temperature, float(np.abs(own).max()))
    if tolerance is not None and not (apart := float(np.abs(answers.probabilities - own).max())) <= rounding:
        raise ExportError(
            f"export: expected the probabilities of the exported logits to {rounding:.2g}. Received: others, which differ "
            f"by {apart:.3g}. Nothing was exported: report it, unless a file of the run was changed."
        )
    return {
        "images_compared": len(expected),
        "largest_logit_difference": difference,
        "largest_difference": float(np.abs(answers.probabilities - wanted).max()),
        "top_1_agreement": float(np.mean(task.decide(answers.logits) == task.decide(expected))),
    }


def _named(images: list[np.ndarray]) -> dict[str, Any]:
    return {f"image_{i}": image for i, image in enumerate(images)}
