"""Says what a person should know of a run's images before they are trained on."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.console import say
from tl_keras.data.base import FileSource
from tl_keras.data.inspection import Inspection
from tl_keras.data.name_series import warning_of_series
from tl_keras.data.sources import Source
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.run_images import RunImages

# A 3:2 photograph keeps 0.51 of its area in a centre crop of 7/8 of the short side, and no teacher suffers from that.
_KEPT_AREA_WORTH_A_WORD = 0.45


def image_remarks(images: RunImages, preprocess: Preprocess) -> list[str]:
    """Returns sentences on groups, on what inspection and splits found, and on what a teacher's crop drops."""
    return [
        *_group_remarks(images.source),
        *images.inspection.findings,
        *images.splits.remarks(),
        *crop_remark(preprocess, images.inspection),
    ]


def say_once(remarks: Iterable[str], inspection: Inspection, models: ModelCache) -> None:
    """Says what is to be known of images, each sentence unless a run or the advice before has said it of the same ones."""
    for remark in remarks:
        models.once(("remark", inspection.data_hash, remark), functools.partial(say, f"data: {remark}"))


def crop_remark(preprocess: Preprocess, inspection: Inspection) -> list[str]:
    """Returns a sentence if the teacher's crop drops much of the images, otherwise nothing."""
    heights, widths = inspection.heights[inspection.decodable], inspection.widths[inspection.decodable]
    kept = float(np.mean(preprocess.kept_fraction(heights, widths)))
    if kept >= _KEPT_AREA_WORTH_A_WORD:
        return []
    return [
        f"the teacher's centre crop keeps {kept:.0%} of the images' area on average; --resize=squash or --resize=pad keeps all"
    ]


def _group_remarks(source: Source) -> list[str]:
    """Returns a sentence on the groups of a source, or on files whose names look like groups."""
    if source.groups is not None:
        return [source.groups.describe()]
    if not isinstance(source, FileSource):
        return []
    return warning_of_series(source.ids, source.labelling.strata(source.labels), source.class_names)
