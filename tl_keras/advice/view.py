"""Finds out how the images are best shown to a teacher: squashed whole, by its own crop, or padded; from training images alone."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Sample, draw_sample, pooled_features
from tl_keras.advice.transferability import Probe, linear_probe
from tl_keras.config import DEFAULT_RESIZE, ResizeRule, TransferConfig, from_json, resolve, to_json
from tl_keras.console import say
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.model_cache import ModelCache

# The first is taken unless the images clearly speak for another; docs/recipe.md.
_VIEWS: tuple[ResizeRule, ...] = (DEFAULT_RESIZE, "original", "pad")

# Standard errors of the difference by which another view has to be better; docs/recipe.md compares 0, 1, 1.5 and 2.
_CLEARLY = 1.0


@dataclasses.dataclass(frozen=True)
class View:
    """A way to make images square, and how well a linear classifier tells the classes apart on it.

    Attributes:
      resize: Value of `model.resize`.
      probe: Out-of-fold predictions on the teacher's last features.
    """

    resize: ResizeRule
    probe: Probe


def choose_view(views: Sequence[View], *, clearly: float = _CLEARLY) -> View:
    """Returns the view of the best accuracy if it is clearly better than the first, otherwise the first.

    Args:
      views: Views with predictions for the same images; the first is the one to take in doubt.
      clearly: Standard errors of the paired difference that count as clear.
    """
    best = max(views, key=lambda view: view.probe.accuracy)
    difference, error = _difference(best.probe, views[0].probe)
    return best if difference > clearly * error else views[0]


def describe(views: Sequence[View], chosen: View) -> str:
    """Returns the accuracies and the choice in a sentence."""
    scores = ", ".join(f"{view.resize} {view.probe.accuracy:.3f} ± {view.probe.standard_error:.3f}" for view in views)
    rivals = [view for view in views if view is not views[0]]
    best = max(rivals, key=lambda view: view.probe.accuracy)
    difference, error = _difference(best.probe, views[0].probe)
    told = (
        "clearly better" if chosen is not views[0] else "no clear gain, so the one that is best on most sets is taken"
    )
    return (
        f"resize {chosen.resize}: a linear classifier gets, out of fold, {scores} right; {best.resize} against "
        f"{views[0].resize} {difference:+.3f} ± {error:.3f}: {told}"
    )


def measure_views(candidate: Candidate, config: TransferConfig, sample: Sample) -> tuple[View, ...]:
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
        probe = linear_probe(
            features,
            sample.labels,
            classes=len(sample.source.class_names),
            groups=sample.groups,
            seed=config.seed,
        )
        views.append(View(resize, probe))
    return tuple(views)


def best_view(candidate: Candidate, config: TransferConfig, sample: Sample) -> ResizeRule:
    """Measures the views of a sample, says what was found, and returns the one to take."""
    views = measure_views(candidate, config, sample)
    chosen = choose_view(views)
    say(f"auto: {describe(views, chosen)}")
    return chosen.resize


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
    if begun := RunDirectory(workdir).read_config():
        decided.model.resize = from_json(begun["config"]).model.resize
        return decided
    decided.model.resize = ""
    teacher = Candidate(config.model.backbone, config.model.weights, config.model.alpha)
    decided.model.resize = best_view(teacher, decided, draw_sample(resolve(decided), models or ModelCache()))
    return decided


def _difference(one: Probe, other: Probe) -> tuple[float, float]:
    """Returns the difference of two accuracies on the same images, and its standard error."""
    right = one.right.astype(float) - other.right
    return float(right.mean()), float(right.std() / np.sqrt(len(right)))
