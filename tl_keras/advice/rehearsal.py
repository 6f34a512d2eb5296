"""How long a run takes on this machine: a few epochs of each phase, by the loop that trains."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import tempfile
import time
from typing import Any

import numpy as np

from tl_keras.builder import choose_backbone
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.sources import Source
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.workshop import Workshop

# Training images of the rehearsal: 30 batches are enough to tell the time of one.
_MAX_IMAGES = 1000

# The first epoch of a phase, with its tracing, is measured apart; the median of the others is as all others are.
_EPOCHS = 4


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """What a run takes on this machine under its present load, without Python's start and exports.

    Attributes:
      seconds: Of the run from now on, with what the rehearsal has left in the cache.
      training_seconds: The part of that which `result.json` records: the epochs of all phases.
      rehearsal_seconds: That the measuring took.
    """

    seconds: float
    training_seconds: float
    rehearsal_seconds: float


def rehearse(config: TransferConfig, source: Source, *, training_images: int) -> TimeEstimate:
    """Trains a few epochs of each phase, in a directory that is removed, and extrapolates.

    What it computes of frozen layers is not lost: training reads it from the cache.

    Args:
      config: Of the run, resolved, with its epochs.
      source: Of the config.
      training_images: That the run trains on. Of more than a thousand, a thousand are rehearsed with.
    """
    began = time.perf_counter()
    short = from_json(to_json(config))
    short.export = "none"
    if training_images > _MAX_IMAGES:
        per_class = max(1, _MAX_IMAGES // len(source.class_names))
        short.data.train_examples_per_class = min(per_class, config.data.train_examples_per_class or per_class)
    short.training.epochs = min(_EPOCHS, config.training.epochs)
    short.training.head_epochs = min(_EPOCHS, config.training.head_epochs)
    workshop = Workshop()
    workshop.images(source, data_dir=short.data.data_dir)
    workshop.student(choose_backbone(short.model), short.model, num_classes=len(source.class_names), seed=short.seed)
    preparing = time.perf_counter() - began
    result, metrics, seconds = _run(short, source, workshop)
    scale = training_images / result["images"]["train"]
    wanted = {"head": config.training.head_epochs or config.training.epochs, "fine-tuning": config.training.epochs}
    training_seconds = 0.0
    for phase in dict.fromkeys(epoch["phase"] for epoch in metrics):
        with_tracing, *others = (epoch["seconds"] for epoch in metrics if epoch["phase"] == phase)
        an_epoch = float(np.median(others or [with_tracing]))
        training_seconds += max(with_tracing - an_epoch, 0.0) + scale * wanted[phase] * an_epoch
    ending = seconds - sum(result["seconds"].values())
    return TimeEstimate(preparing + training_seconds + ending, training_seconds, time.perf_counter() - began)


def _run(
    config: TransferConfig, source: Source, workshop: Workshop
) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """Trains in a directory that is removed; returns result, metrics and seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tl_keras_rehearsal_") as folder:
        workdir = pathlib.Path(folder) / "run"
        with contextlib.redirect_stderr(io.StringIO()):  # it would look like the run itself
            result = train_and_evaluate(config, workdir, source=source, workshop=workshop, measure_test=False)
        seconds = time.perf_counter() - began
        lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return result, [json.loads(line) for line in lines], seconds
