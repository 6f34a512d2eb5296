"""Decides by the training images on which map the teacher ends, where several labels or numbers are learnt.

What one of several labels says, and what is counted, is often small in the image. A linear model compares the teacher's last map
with a finer one, whose positions are averaged or give the largest value of each feature.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tl_keras.backbones.output_stride import maps_by_stride
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig, TransferConfig
from tl_keras.console import number_of
from tl_keras.data.groups import units
from tl_keras.errors import WorkdirError
from tl_keras.probes.alternatives import Alternative, choose, describe
from tl_keras.probes.task_probe import probe
from tl_keras.probes.transferability import draw
from tl_keras.tasks.base import task_named
from tl_keras.training.embedding import embed, embedder_of_backbone
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.published_weights import is_trained_and_at_hand
from tl_keras.training.run_images import RunImages

# With fewer training images chance decides; more take longer and decide alike.
_FEWEST, _MOST, _OF_EACH_LABEL = 60, 300, 5

_STRIDE = 8  # of the finer map, in pixels per position
_USUAL = "the last map"
_LAST_MAP: dict[str, Any] = {"pooling": "average"}


def decide_map(config: TransferConfig, images: RunImages, models: ModelCache) -> tuple[ModelConfig, list[str]]:
    """Returns the options of the model with map and pooling decided where they are left open, and the reasons.

    Args:
      config: Resolved config of a run.
      images: Its images.
      models: Cache that keeps the decision for the next run of the same teacher on the same images.

    Raises:
      BackboneError: The teacher's weights cannot be loaded.
    """
    model = config.model
    if model.pooling:
        return model, []
    changes, reasons = models.once(("map", images.decided_from(config)), lambda: _measured(config, images))
    return dataclasses.replace(model, **changes), list(reasons)


def _measured(config: TransferConfig, images: RunImages) -> tuple[dict[str, Any], list[str]]:
    ways = _ways(config.model) if images.source.noun == "image" else {}
    if not ways:
        return _LAST_MAP, []
    if len(images.splits.train) < _FEWEST:
        needed, here = number_of(_FEWEST, "training image"), len(images.splits.train)
        return _LAST_MAP, [f"{_USUAL}: no finer one was measured; that takes {needed}, and there are {here}"]
    source, inspection = images.source, images.inspection
    strata = source.labelling.strata(source.labels)
    indices = draw(images.splits.train, strata, images=_MOST, of_each_class=_OF_EACH_LABEL, seed=config.seed)
    labels, names = source.labels[indices], source.groups.names[indices] if source.groups else None
    groups = units(inspection.sha256[indices], names)
    task = task_named(config.task).with_labels(labels)
    measured = []
    for name, changes in ways.items():
        network = embedder_of_backbone(dataclasses.replace(config.model, **changes))
        try:
            features = embed(network, source, inspection, indices, config).all()
        except WorkdirError as error:  # training does without a cache
            return _LAST_MAP, [f"{_USUAL}: no other was measured ({error})"]
        answers = probe(task, features, labels, classes=len(source.class_names), groups=groups, seed=config.seed)
        measured.append(Alternative(name, answers))
    chosen = choose(measured, clearly=0)
    return ways[chosen.name], [f"{chosen.name}: {describe(measured, chosen, measured='a linear model')}"]


def _ways(model: ModelConfig) -> dict[str, dict[str, Any]]:
    """Returns the options to compare by their names, the usual ones first; none where the teacher has nothing to compare."""
    choice = choose_backbone(model)
    if not is_trained_and_at_hand(choice) or _STRIDE not in maps_by_stride(build_backbone(choice)):
        return {}
    return {
        _USUAL: _LAST_MAP,
        f"the map of {_STRIDE} pixels": {"output_stride": _STRIDE, "pooling": "average"},
        f"the largest values of the map of {_STRIDE} pixels": {"output_stride": _STRIDE, "pooling": "max"},
    }
