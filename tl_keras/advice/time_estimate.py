"""Estimates how long a run takes on this machine, from a few short epochs of each phase by the loop that trains."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from tl_keras.advice.teacher_scores import Sample
from tl_keras.builder import Student
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.base import RandomAccessSource, Source
from tl_keras.data.decoded import DecodedSource
from tl_keras.data.inspection import Inspection, Reading
from tl_keras.data.options import SourceOptions
from tl_keras.data.splits import Splits
from tl_keras.probes.transferability import draw
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import EpochRecord, RunResult
from tl_keras.serving.student_statistics import count_measured_images, evenly
from tl_keras.training.features import FeatureStore
from tl_keras.training.inputs import feature_store
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.phases import Phase
from tl_keras.training.preparation import prepare, views_per_image
from tl_keras.training.refitting import images_of_refit
from tl_keras.training.split_student import SplitStudent

# Number of steps in a short epoch, if the sample has enough images; their mean is then known to a few per cent.
_STEPS = 6

# Number of batches that frozen layers compute at a time: the first traces, the median is taken over the others.
_HELD_OUT_IMAGES = 128

# The first epoch of a phase, with its tracing, is measured separately; the median of the others stands for all others.
_EPOCHS = 4


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """The time of a run on this machine under its present load, without the start of Python and exports.

    Attributes:
      seconds: Time of the run in a process of its own, with the cache as the estimate leaves it.
      rehearsal_seconds: Duration of the estimation itself.
    """

    seconds: float
    rehearsal_seconds: float


def estimate_time(config: TransferConfig, sample: Sample) -> TimeEstimate:
    """Trains a few short epochs of each phase on a few images, in a temporary directory, and extrapolates.

    Features of frozen layers computed here are not lost: training reads them from the cache.

    Args:
      config: Resolved config of the run, with its epochs and without a schedule of cuts.
      sample: Sample of its images.
    """
    began = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):  # its messages would look like those of the run
        models = ModelCache()
        prepared = prepare(config, models, images=sample.images)
        config, student, phases = prepared.config, prepared.student, prepared.phases
        cuts = [models.split(student, phase.plan) for phase in phases]
        building = time.perf_counter() - began

        few = _few(sample, images=_STEPS * config.training.global_batch_size)
        short = _shortened(config, phases, few, sample.splits)
        images = np.concatenate([few.train, few.validation])
        store = feature_store(prepared)
        kept = [cut for cut in sorted(cuts, key=lambda cut: cut.position) if store and store.keeps(cut)]
        frozen = _FrozenLayers(store, student, kept) if store and kept else None
        if frozen:
            short.cache.limit_gib *= frozen.share(
                images
            )  # features that the run would not keep are not kept here either
            images = frozen.with_some_missing(images)
        streamed, source = not isinstance(sample.source, RandomAccessSource), sample.source
        if streamed:  # once, and not in every short epoch, each of which would read all records
            source = DecodedSource(source, images, student.preprocess.decode)
        short.cache.enabled = bool(frozen and frozen.compute(images, source))
        result, epochs, seconds = _run(short, few.declared_in(source), sample.inspection, models)
        frozen_seconds = frozen.seconds_of_missing() if frozen and short.cache.enabled else 0.0

    preparing = sample.inspection_seconds + building + frozen_seconds + result.seconds["preparing"]
    if streamed and (frozen_seconds or not short.cache.enabled):
        preparing += sample.inspection_seconds * max(prepared.views_per_image, 1)  # a pass takes no longer
    training, validation, refit_on = 0.0, 0.0, images_of_refit(prepared)
    for phase in phases:
        of_phase = [epoch for epoch in epochs if epoch.phase == phase.name]
        tracing, steps, validation = _epoch_seconds(of_phase, images=len(few.train))
        epoch = steps * len(sample.splits.train) / len(few.train)
        epoch += validation * len(sample.splits.validation) / len(few.validation)
        training += tracing + phase.epochs * (epoch + steps * refit_on / len(few.train))
    # The shorter of two passes over these images, because the other may have traced.
    answer = min(result.seconds["evaluating"], validation) / len(few.validation)
    ending = seconds - result.seconds["preparing"] - sum(epoch.seconds for epoch in epochs)
    ending += answer * (_answered(sample.splits) - _answered(few))
    return TimeEstimate(preparing + training + ending, time.perf_counter() - began)


def _few(sample: Sample, *, images: int) -> Splits:
    """Returns splits of about `images` training images from the sample, with at least one of each class, and some validation."""
    splits = sample.splits
    return dataclasses.replace(
        splits,
        train=draw(sample.indices, sample.strata, images=images, of_each_class=1, seed=splits.seed),
        validation=evenly(splits.validation, _HELD_OUT_IMAGES),
        test=splits.test[:0],
    )


def _shortened(config: TransferConfig, phases: Sequence[Phase], few: Splits, splits: Splits) -> TransferConfig:
    """Returns the config with fewer epochs, and with less memory in proportion to the images of an epoch."""
    short = from_json(to_json(config))
    short.export = "none"
    epochs = max(_EPOCHS, views_per_image(config))  # with fewer epochs than views nothing is cached
    short.training.head_epochs, short.training.epochs = (min(epochs, phases[at].epochs) for at in (0, -1))
    held, of_run = (len(each.train) + len(each.validation) for each in (few, splits))
    short.cache.decoded_gib *= held / of_run
    return short


class _FrozenLayers:
    """The layers whose features a run keeps, and the time that they take.

    Args:
      store: Store of the features of all images of the run.
      student: Student that is cut.
      cuts: Cuts at which the store keeps features, the shallowest first.
    """

    def __init__(self, store: FeatureStore, student: Student, cuts: Sequence[SplitStudent]):
        self._store, self._student, self._cuts = store, student, cuts
        # Missing rows of each cut, by its position, looked up once because it reads every existing row.
        self._missing = {cut.position: store.missing(cut) for cut in cuts}
        self._seconds_before = 0.0
        self._seconds_a_row: dict[int, float] = {}

    def share(self, images: np.ndarray) -> float:
        """Returns the part of the rows, 0 to 1, that belongs to these images."""
        return self._store.only(images).count / self._store.count

    def with_some_missing(self, images: np.ndarray) -> np.ndarray:
        """Returns images, and more if needed, so that each cut with missing rows has enough of them to be timed."""
        for rows in self._missing.values():
            missing = np.unique(np.nonzero(rows)[1])
            others = np.setdiff1d(missing, images)
            wanted = max(_HELD_OUT_IMAGES - (len(missing) - len(others)), 0)
            images = np.union1d(images, evenly(others, wanted))
        return images

    def compute(self, images: np.ndarray, source: Source) -> bool:
        """Computes and times the missing features of some images from `source`; returns whether keeping them pays."""
        few = self._store.only(images, source=source)
        began = time.perf_counter()
        if any(few.at(self._student, cut, others=self._cuts) is None for cut in self._cuts):
            return False
        seconds = time.perf_counter() - began
        self._seconds_a_row = few.seconds_a_row
        computing = sum(self._missing[at][:, images].sum() * each for at, each in few.seconds_a_row.items())
        self._seconds_before = max(seconds - float(computing), 0.0)
        for rows in self._missing.values():
            rows[:, images] = False
        return True

    def seconds_of_missing(self) -> float:
        """Returns the seconds that computing everything that is missing will take, with the layers below, once timed."""
        seconds = sum(float(rows.sum()) * self._seconds_a_row[at] for at, rows in self._missing.items() if rows.any())
        return seconds and self._seconds_before + seconds


def _run(
    config: TransferConfig, source: Source, inspection: Inspection, models: ModelCache
) -> tuple[RunResult, list[EpochRecord], float]:
    """Trains in a temporary directory, and returns result, epochs and seconds."""
    began = time.perf_counter()
    models.keep_images(source, inspection, SourceOptions.of(config), Reading.of(config))
    with tempfile.TemporaryDirectory(prefix="tl_keras_rehearsal_") as folder:
        workdir = pathlib.Path(folder) / "run"
        result = train_and_evaluate(config, workdir, source=source, models=models, measure_test=False)
        seconds = time.perf_counter() - began
        epochs = RunDirectory(workdir).read_epochs()
    return result, epochs, seconds


def _epoch_seconds(epochs: Sequence[EpochRecord], *, images: int) -> tuple[float, float, float]:
    """Returns how much longer the first epoch of a phase took, and an epoch's seconds for training and for the rest."""
    with_tracing, *others = epochs
    whole = statistics.median(epoch.seconds for epoch in others or epochs)
    speeds = [epoch.images_per_second or epoch.cached_images_per_second for epoch in others or epochs]
    steps = statistics.median(images / speed for speed in speeds if speed)
    return max(with_tracing.seconds - whole, 0.0), steps, whole - steps


def _answered(splits: Splits) -> int:
    """Returns how many images a run predicts at its end."""
    return len(splits.test if len(splits.test) else splits.validation) + count_measured_images(splits)
