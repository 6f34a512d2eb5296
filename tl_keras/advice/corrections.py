"""Lets a person correct labels on the inspection's page: the images as rows of the CSV that the page downloads."""

from __future__ import annotations

import pathlib
from typing import Any

from tl_keras.advice.data_table import can_be_written
from tl_keras.data.base import FileSource
from tl_keras.data.sources import Source
from tl_keras.data.text_lines import text_of

# Number of images up to which the page holds all of them, some 100 bytes each.
_MOST_IMAGES = 50_000


def correctable(source: Source) -> dict[str, Any] | None:
    """Returns the rows of a CSV of all images, which the page changes and downloads and `--data=csv:FILE` reads; None if it cannot.

    Args:
      source: The images or texts; those with one class each can be corrected, images if they are files.

    Returns:
      `names` of the classes, `columns` of the CSV, its `rows` of absolute paths or texts, labels, declared splits and groups,
      and `positions`, the row of each image by its id.
    """
    if not can_be_written(source) or source.labelling.kind != "class" or len(source) > _MOST_IMAGES:
        return None
    more = {
        **({"split": source.declared_splits.tolist()} if any(source.declared_splits.tolist()) else {}),
        **({"group": source.groups.names.tolist()} if source.groups else {}),
    }
    rows = [
        [_shown(source, index), source.class_names[label], *(column[index] for column in more.values())]
        for index, label in enumerate(source.labels.tolist())
    ]
    return {
        "names": list(source.class_names),
        "columns": ["text" if source.noun == "text" else "path", "label", *more],
        "rows": rows,
        "positions": {image_id: index for index, image_id in enumerate(source.ids)},
    }


def _shown(source: Source, index: int) -> str:
    """Returns the absolute path of an image, or a text."""
    if isinstance(source, FileSource):
        return str(pathlib.Path(source.path(index)).absolute())
    return text_of(source, index)
