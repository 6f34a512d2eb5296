"""Finds out how the images are best shown to a teacher: squashed whole, by its own crop, or padded; from training images alone."""

from __future__ import annotations

import os

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Sample, draw_sample, pooled_features
from tl_keras.config import DEFAULT_RESIZE, ResizeRule, TransferConfig, from_json, resolve, to_json
from tl_keras.console import say
from tl_keras.data.base import require_images
from tl_keras.data.options import SourceOptions
from tl_keras.data.table_source import noun_of
from tl_keras.probes.alternatives import Alternative, choose, describe
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.folds import read_begun_config
from tl_keras.runs.reasons import write_decisions
from tl_keras.training.model_cache import ModelCache

# The first is taken unless the images clearly speak for another; docs/recipe.md.
_VIEWS: tuple[ResizeRule, ...] = (DEFAULT_RESIZE, "original", "pad")


def measure_views(candidate: Candidate, config: TransferConfig, sample: Sample) -> tuple[Alternative, ...]:
    """Returns the views of a sample with their out-of-fold predictions, the one to take in doubt first.

    Args:
      candidate: The teacher.
      config: Config of the run; its view is ignored.
      sample: The training images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
      WorkdirError: The cache's disk is full.
    """
    views = []
    for resize in _VIEWS:
        one = from_json(to_json(config))
        one.model.resize = resize
        features = pooled_features(candidate, one, sample.source, sample.inspection, sample.indices)
        views.append(Alternative(resize, sample.probe(features, seed=config.seed)))
    return tuple(views)


def best_view(candidate: Candidate, config: TransferConfig, sample: Sample) -> tuple[ResizeRule, str]:
    """Measures the views of a sample, and returns the one to take, and the reason."""
    views = measure_views(candidate, config, sample)
    chosen = choose(views)
    reason = f"resize {chosen.name}: {describe(views, chosen, measured='a linear model')}"
    return _VIEWS[views.index(chosen)], reason


def with_measured_view(
    config: TransferConfig, workdir: str | os.PathLike[str], *, models: ModelCache | None = None
) -> TransferConfig:
    """Returns the config with the view filled in, from the run begun in `workdir` or else from the training images.

    Args:
      config: Config whose `model.resize` is `auto`.
      workdir: Directory of the run.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      TransferError: The images or the teacher cannot be used.
    """
    decided = from_json(to_json(config))
    if begun := read_begun_config(RunDirectory(workdir)):
        decided.model.resize = from_json(begun["config"]).model.resize
        return decided
    decided.model.resize = ""
    teacher = Candidate(config.model.backbone, config.model.weights, config.model.alpha)
    require_images(noun_of(config.data.source, SourceOptions.of(config)), command="resize auto")
    sample = draw_sample(resolve(decided), models or ModelCache())
    decided.model.resize, reason = best_view(teacher, decided, sample)
    say(f"auto: {reason}")
    write_decisions(RunDirectory(workdir), [reason])
    return decided
