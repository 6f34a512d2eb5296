"""Adds the confusion matrix to TensorBoard's files, as an image beside the scalars of the epochs."""

from __future__ import annotations

import io

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from tl_keras.reporting.finished_run import FinishedRun
from tl_keras.runs.directory import RunDirectory

_INCHES, _DOTS_PER_INCH = 6.0, 100
_MOST_NAMED = 40  # classes, above which names overlap


def write_confusion_image(run: FinishedRun) -> bool:
    """Writes the confusion matrix of a run's reported images into `logs/`; returns whether the run has one.

    Args:
      run: The run; one of several labels or of numbers has none, nor one of a version that did not keep the labels.
    """
    right = run.right()
    labels = RunDirectory(run.path).read_labels() if right is not None else None
    if labels is None:
        return False
    names = (run.path / "labels.txt").read_text(encoding="utf-8").splitlines()
    matrix = confusion_matrix(labels, run.logits().argmax(axis=1), labels=range(len(names)))
    with tf.summary.create_file_writer(str(RunDirectory(run.path).logs / run.split)).as_default():
        tf.summary.image("confusion", _drawn(matrix, names)[None], step=run.result.kept_epoch - 1)
    return True


def _drawn(matrix: np.ndarray, names: list[str]) -> np.ndarray:
    """Returns a confusion matrix as an image, uint8 (height, width, 3)."""
    figure = Figure(figsize=(_INCHES, _INCHES), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="answer", ylabel="right class")
    if len(names) <= _MOST_NAMED:
        axes.set_xticks(range(len(names)), [f"{name:.20}" for name in names], rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), [f"{name:.20}" for name in names], parse_math=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH)
    return tf.io.decode_png(file.getvalue(), channels=3).numpy()
