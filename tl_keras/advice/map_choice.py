"""Finds out which map of a teacher tells the labels best, its last one or a finer one; from training images alone."""

from __future__ import annotations

from tl_keras.advice.alternatives import Alternative, choose, describe
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Sample, pooled_features
from tl_keras.backbones.output_stride import maps_by_stride
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import TransferConfig, from_json, to_json

# Standard errors of the paired difference by which another map has to be better than the last one; docs/recipe.md compares them.
_CLEARLY = 1.5


def measure_maps(
    candidate: Candidate, config: TransferConfig, sample: Sample
) -> tuple[tuple[int, ...], tuple[Alternative, ...]]:
    """Returns `model.output_stride` of the last map, which is 0, and of the two finer ones, and their out-of-fold predictions.

    Args:
      candidate: The teacher.
      config: Config of the run, which leaves the map open.
      sample: The training images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
      WorkdirError: The cache's disk is full.
    """
    known = maps_by_stride(build_backbone(choose_backbone(candidate.choose(config.model))))
    last = max(known, default=0)
    strides = (0, *(stride for stride in (last // 2, last // 4) if stride in known))
    measured = []
    for stride in strides if len(strides) > 1 else ():
        one = from_json(to_json(config))
        one.model.output_stride = stride
        features = pooled_features(candidate, one, sample.source, sample.inspection, sample.indices)
        name = f"the map of {stride} pixels" if stride else "the last map"
        measured.append(Alternative(name, sample.probe(features, seed=config.seed)))
    return strides, tuple(measured)


def best_map(candidate: Candidate, config: TransferConfig, sample: Sample) -> tuple[int, str]:
    """Measures the maps of a sample, and returns `model.output_stride`, and the reason if it is not 0, the last map."""
    strides, measured = measure_maps(candidate, config, sample)
    if not measured:
        return 0, ""
    chosen = choose(measured, clearly=_CLEARLY)
    stride = strides[measured.index(chosen)]
    reason = describe(measured, chosen, measured="a linear model")
    return stride, f"{chosen.name}: {reason}" if stride else ""
