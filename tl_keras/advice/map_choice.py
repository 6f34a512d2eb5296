"""Finds out which map of a teacher tells the labels best, its last one or a finer one; from training images alone."""

from __future__ import annotations

import dataclasses
from typing import Any

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Sample, pooled_features
from tl_keras.backbones.output_stride import maps_by_stride
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.config.model_fields import OF_THE_MAP
from tl_keras.probes.alternatives import Alternative, choose, describe
from tl_keras.training.map_decision import decide_map
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide

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


def best_map(
    candidate: Candidate, config: TransferConfig, sample: Sample, models: ModelCache
) -> tuple[dict[str, Any], list[str]]:
    """Returns the options of the model that another map than the last one asks for, and the reasons.

    For several labels or numbers, any run decides map and pooling (`tl_keras.training.map_decision`). For classes, the map alone is
    measured, with an eye to chance.

    Args:
      candidate: The teacher.
      config: Config of the run, which leaves the map open.
      sample: The training images.
      models: Cache that keeps the decision for the run.
    """
    usual = dataclasses.replace(candidate.choose(config.model), method="fine_tune", unfreeze="", unfreeze_schedule="")
    as_run = decide(dataclasses.replace(config, model=usual))
    if not as_run.model.pooling:
        model, reasons = decide_map(as_run, sample.images, models)
        return {name: getattr(model, name) for name in OF_THE_MAP}, reasons
    strides, measured = measure_maps(candidate, config, sample)
    if not measured:
        return {}, []
    chosen = choose(measured, clearly=_CLEARLY)
    stride = strides[measured.index(chosen)]
    reason = describe(measured, chosen, measured="a linear model")
    return {"output_stride": stride}, [f"{chosen.name}: {reason}"] if stride else []
