"""How long a run takes on this machine: a few short epochs of each phase, by the loop that trains."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.advice.evidence import Sample, draw
from tl_keras.builder import Student, choose_backbone
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.base import Source
from tl_keras.data.inspection import Inspection
from tl_keras.data.splits import Splits
from tl_keras.serving.profile import evenly, images_of_profile
from tl_keras.training.cut import Cut
from tl_keras.training.features import FeatureStore
from tl_keras.training.loop import feature_store, train_and_evaluate, views_of
from tl_keras.training.phases import plan_phases
from tl_keras.training.workshop import Workshop

# Of an epoch of the rehearsal: their mean is known to a few per cent.
_STEPS = 10

# Four batches of what frozen layers compute at a time: the first traces, the median is of the others.
_HELD_OUT_IMAGES = 128

# The first epoch of a phase, with its tracing, is measured apart; the median of the others is as all others are.
_EPOCHS = 4


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """What a run takes on this machine under its present load, without Python's start and exports.

    Attributes:
      seconds: Of the run from now on, with what the rehearsal has left in the cache.
      rehearsal_seconds: That the measuring took.
    """

    seconds: float
    rehearsal_seconds: float


def rehearse(config: TransferConfig, sample: Sample) -> TimeEstimate:
    """Trains a few short epochs of each phase on a few images, in a directory that is removed, and extrapolates.

    What it computes of frozen layers is not lost: training reads it from the cache.

    Args:
      config: Of the run, resolved, with its epochs.
      sample: Of its images.
    """
    began = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):  # it would look like the run itself
        workshop = Workshop()
        classes = len(sample.source.class_names)
        student = workshop.student(choose_backbone(config.model), config.model, num_classes=classes, seed=config.seed)
        building = time.perf_counter() - began
        phases = plan_phases(config, student, images=len(sample.splits.train))
        few = _few(sample, images=_STEPS * config.training.global_batch_size)
        store = feature_store(config, student, phases, sample.source, sample.inspection, sample.splits)
        cuts = {phase.plan: workshop.cut(student, phase.plan) for phase in phases}.values()
        frozen = sorted((cut for cut in cuts if cut.frozen is not None), key=lambda cut: cut.position)
        pace = store and _compute_some(store, student, frozen, np.concatenate([few.train, few.validation]))
        short = _shortened(config, cached=pace is not None)
        result, epochs, seconds = _run(short, few.declared_in(sample.source), sample.inspection, workshop)
        frozen_seconds = pace.seconds_of_missing(store, frozen) if store and pace else 0.0
    preparing = sample.inspection_seconds + building + result["seconds"]["preparing"] + frozen_seconds
    training = sum(
        _phase_seconds([each for each in epochs if each["phase"] == phase.name], phase.epochs, sample.splits, few)
        for phase in phases
    )
    ending = seconds - result["seconds"]["preparing"] - sum(epoch["seconds"] for epoch in epochs)
    answer = result["seconds"]["evaluating"] / len(few.validation)
    ending += answer * (_answered(sample.splits) - _answered(few))
    return TimeEstimate(preparing + training + ending, time.perf_counter() - began)


def _few(sample: Sample, *, images: int) -> Splits:
    """Returns at most so many of the sample's images to train on, of every class one at least, and some of validation."""
    splits = sample.splits
    return dataclasses.replace(
        splits,
        train=draw(sample.indices, sample.source.labels, images=images, of_each_class=1, seed=splits.seed),
        validation=evenly(splits.validation, _HELD_OUT_IMAGES),
        test=splits.test[:0],
    )


def _shortened(config: TransferConfig, *, cached: bool) -> TransferConfig:
    short = from_json(to_json(config))
    short.export, short.cache.enabled = "none", cached
    epochs = max(_EPOCHS, views_of(config))  # in fewer epochs than views nothing is cached
    short.training.epochs = min(epochs, config.training.epochs)
    short.training.head_epochs = min(epochs, config.training.head_epochs)
    return short


@dataclasses.dataclass(frozen=True)
class _Pace:
    """Of frozen layers.

    Attributes:
      seconds_before: Of tracing, and of proving what was traced.
      seconds_a_row: Of each cut at which something was missing, by its position.
    """

    seconds_before: float
    seconds_a_row: dict[int, float]

    def seconds_of_missing(self, store: FeatureStore, cuts: Sequence[Cut]) -> float:
        """Returns what computing all that is missing will take."""
        seconds = sum(store.missing(cut).sum() * self.seconds_a_row.get(cut.position, 0.0) for cut in cuts)
        return float(seconds and self.seconds_before + seconds)


def _compute_some(store: FeatureStore, student: Student, cuts: Sequence[Cut], images: np.ndarray) -> _Pace | None:
    """Computes what is missing of some images; where that is nothing, a little of what is missing of others.

    Args:
      store: Of all images of the run.
      student: What is cut.
      cuts: With frozen layers, the shallowest first.
      images: int64 (k,).

    Returns:
      How long that took; None where features are not kept.
    """
    if any(store.refusal(cut) for cut in cuts):
        return None
    for cut in cuts:
        lacking = np.unique(np.nonzero(store.missing(cut))[1])
        if not np.isin(images, lacking).any():
            images = np.union1d(images, evenly(lacking, _HELD_OUT_IMAGES))
    few = store.only(images)
    rows = {cut.position: int(few.missing(cut).sum()) for cut in cuts}
    began = time.perf_counter()
    if any(few.at(student, cut, others=cuts) is None for cut in cuts):
        return None
    seconds = time.perf_counter() - began
    computing = sum(rows[position] * each for position, each in few.seconds_a_row.items())
    return _Pace(max(seconds - computing, 0.0), few.seconds_a_row)


def _run(
    config: TransferConfig, source: Source, inspection: Inspection, workshop: Workshop
) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """Trains in a directory that is removed; returns result, epochs and seconds."""
    began = time.perf_counter()
    workshop.remember_images(source, inspection, data_dir=config.data.data_dir)
    with tempfile.TemporaryDirectory(prefix="tl_keras_rehearsal_") as folder:
        workdir = pathlib.Path(folder) / "run"
        result = train_and_evaluate(config, workdir, source=source, workshop=workshop, measure_test=False)
        seconds = time.perf_counter() - began
        lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return result, [json.loads(line) for line in lines], seconds


def _phase_seconds(epochs: Sequence[dict[str, Any]], wanted: int, splits: Splits, few: Splits) -> float:
    """Returns what so many epochs of a phase will take, from those of the rehearsal."""
    with_tracing, *others = epochs
    others = others or [with_tracing]
    epoch = statistics.median(each["seconds"] for each in others)
    steps = statistics.median(len(few.train) / each["images_per_second"] for each in others)
    whole = steps * len(splits.train) / len(few.train) + (epoch - steps) * len(splits.validation) / len(few.validation)
    return max(with_tracing["seconds"] - epoch, 0.0) + wanted * whole


def _answered(splits: Splits) -> int:
    """Returns how many images a run answers at its end."""
    return len(splits.test if len(splits.test) else splits.validation) + images_of_profile(splits)
