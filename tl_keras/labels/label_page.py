"""Writes the images to label next as one HTML page, on which a person labels them and saves the table that training reads."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.advice.corrections import correctable
from tl_keras.advice.data_table import training_command
from tl_keras.config import TransferConfig
from tl_keras.console import number_of
from tl_keras.data.base import FileSource, Source
from tl_keras.data.decoding import decode_image
from tl_keras.errors import DataError
from tl_keras.labels.next_labels import LabelPlan
from tl_keras.reporting.page import jpeg_uri, render

# Longest side of a thumbnail in pixels; it takes about 8 KiB.
_SIDE = 192


def page(plan: LabelPlan, *, classes: tuple[str, ...] = ()) -> str:
    """Returns the page; text that comes from the data is escaped.

    Args:
      plan: Images to label.
      classes: Names of classes beside those of the run.

    Raises:
      DataError: The unlabelled images are not separate files, so that no table can name them.
    """
    images = plan.gathered.unlabelled
    if not isinstance(images.source, FileSource):
        raise DataError(
            f"data: expected images in files of their own, which a table of labels can name. Received: {images.source.name}. Name "
            "a folder."
        )
    table = _table(plan)
    names = (*plan.gathered.class_names, *(name for name in classes if name not in plan.gathered.class_names))
    return render(
        "labels.html",
        name=images.source.name,
        facts=facts(plan),
        classes=plan.classes,
        then=_then(plan),
        chosen=[_case(plan, images.source, row) for row in plan.chosen.tolist()],
        outliers=[_case(plan, images.source, row) for row in plan.outliers.tolist()],
        outlier_count=len(plan.gathered.outliers),
        table={**table, "names": list(names)},
    )


def facts(plan: LabelPlan) -> list[str]:
    """Returns sentences on what was chosen, what was left out, and what to expect."""
    gathered, images = plan.gathered, plan.gathered.unlabelled
    by = "the run's uncertainty and " if plan.probabilities is not None else ""
    left_out = {
        "labelled, or copies of labelled ones": gathered.known,
        "copies of other unlabelled images": gathered.copies,
        "outliers, which are shown apart": len(gathered.outliers),
        "not to be decoded": len(images.inspection.undecodable),
    }
    counted = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    return [
        f"{number_of(len(plan.chosen), 'image')} of {len(images.indices):,}, by {by}what they stand for in the features of "
        f"{gathered.embedder.name}.",
        *([f"Left out: {counted}."] if counted else []),
        f"{plan.forecast}; {plan.forecast_on}." if plan.forecast else f"No forecast: {plan.forecast_on}.",
        *_without_rows(plan),
    ]


def _without_rows(plan: LabelPlan) -> list[str]:
    """Returns a sentence if the labels that there are cannot stand in the table."""
    labelled = plan.gathered.labelled
    if labelled is None or correctable(labelled.source):
        return []
    return [
        f"The table will hold the new labels alone: {labelled.source.name} cannot stand in it. Join it with yours before training."
    ]


def _table(plan: LabelPlan) -> dict[str, Any]:
    """Returns columns and rows of the table: the labels that there are, to which the page adds."""
    labelled = plan.gathered.labelled
    known = correctable(labelled.source) if labelled else None
    if known is None:
        return {"columns": ["path", "label"], "rows": []}
    return {"columns": known["columns"], "rows": known["rows"]}


def _then(plan: LabelPlan) -> str:
    """Returns the command that trains on the table, which is read as the images of the run were."""
    gathered = plan.gathered
    source = gathered.labelled.source if gathered.labelled else None
    return training_command("labels.csv", source, gathered.run or TransferConfig(), "--workdir=next_run")


def _case(plan: LabelPlan, source: FileSource, row: int) -> dict[str, Any]:
    index = int(plan.gathered.unlabelled.indices[row])
    guess = plan.guess(row)
    return {
        "id": source.ids[index],
        "path": str(pathlib.Path(source.path(index)).absolute()),
        "picture": _thumbnail(source, index),
        "guess": guess[0] if guess else "",
        "score": guess[1] if guess else None,
    }


def _thumbnail(source: Source, index: int) -> str:
    return jpeg_uri(np.asarray(decode_image(tf.constant(source.encoded_image(index)))), _SIDE)
