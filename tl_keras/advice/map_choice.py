"""Finds out which map of a teacher tells the labels best, and how its positions are pooled; from training images alone."""

from __future__ import annotations

import dataclasses

from tl_keras.advice.alternatives import Alternative, choose, describe
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Sample, pooled_features
from tl_keras.backbones.output_stride import maps_by_stride
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig, TransferConfig, from_json, to_json
from tl_keras.config.choices import Pooling

# Standard errors of the paired difference by which another map has to be better than the last one; docs/recipe.md compares them.
_CLEARLY = 1.5


@dataclasses.dataclass(frozen=True)
class MapChoice:
    """The map where a teacher ends, and how its positions become one row of features.

    Attributes:
      output_stride: Pixels per position, or 0 for the teacher's last map.
      pooling: `average` or `max`.
    """

    output_stride: int
    pooling: Pooling

    @property
    def name(self) -> str:
        """Returns the choice in words, such as `the map of 8 pixels`."""
        where = f"the map of {self.output_stride} pixels" if self.output_stride else "the last map"
        return where if self.pooling == "average" else f"{where} by its largest values"

    def applied_to(self, model: ModelConfig) -> ModelConfig:
        """Returns a copy of the model's options with this choice."""
        return dataclasses.replace(model, output_stride=self.output_stride, pooling=self.pooling)


AS_PRE_TRAINED = MapChoice(0, "average")


def is_open(model: ModelConfig) -> bool:
    """Returns whether a user has left map and pooling as they are by default."""
    return AS_PRE_TRAINED.applied_to(model) == model


def with_map_of(decided: ModelConfig, model: ModelConfig) -> ModelConfig:
    """Returns a copy of the model's options with the map and pooling of others."""
    return MapChoice(decided.output_stride, decided.pooling).applied_to(model)


def measure_maps(
    candidate: Candidate, config: TransferConfig, sample: Sample
) -> tuple[tuple[MapChoice, ...], tuple[Alternative, ...]]:
    """Returns the last map and finer ones, and their out-of-fold predictions, the one to take in doubt first.

    Args:
      candidate: The teacher.
      config: Config of the run, whose map and pooling are left open.
      sample: The training images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
      WorkdirError: The cache's disk is full.
    """
    strides = maps_by_stride(build_backbone(choose_backbone(candidate.choose(config.model))))
    last = max(strides, default=0)
    finer = [stride for stride in (last // 2, last // 4) if stride in strides]
    choices = (AS_PRE_TRAINED, *(MapChoice(stride, "average") for stride in finer))
    if strides:
        choices = (*choices, *(MapChoice(each.output_stride, "max") for each in choices))
    found = []
    for choice in choices:
        one = from_json(to_json(config))
        one.model = choice.applied_to(one.model)
        features = pooled_features(candidate, one, sample.source, sample.inspection, sample.indices)
        found.append(Alternative(choice.name, sample.probe(features, seed=config.seed)))
    return choices, tuple(found)


def best_map(candidate: Candidate, config: TransferConfig, sample: Sample) -> tuple[MapChoice, str]:
    """Measures the maps of a sample, and returns the choice, and the reason if it is not the teacher's last map by its average."""
    choices, measured = measure_maps(candidate, config, sample)
    if len(choices) == 1:
        return AS_PRE_TRAINED, ""
    chosen = choose(measured, clearly=_CLEARLY)
    reason = describe(measured, chosen, measured="a linear model")
    best = choices[measured.index(chosen)]
    return best, "" if best == AS_PRE_TRAINED else f"{best.name}: {reason}"
