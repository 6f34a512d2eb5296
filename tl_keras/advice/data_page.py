"""Writes the report on a set of images or texts as one HTML page, with thumbnails or beginnings inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.advice.corrections import correctable
from tl_keras.advice.data_report import DataReport
from tl_keras.advice.data_table import training_command
from tl_keras.advice.leak import with_groups
from tl_keras.advice.problems import Problem
from tl_keras.config import TransferConfig
from tl_keras.data.base import Source
from tl_keras.data.decoding import decode_image
from tl_keras.data.inspection import Inspection
from tl_keras.data.text_lines import text_of
from tl_keras.reporting.page import jpeg_uri, render

# Longest side of a picture in pixels: of a case's only image, which is to be judged, of one of several, and of images to compare
# with. They take about 10, 5 and 2 KiB.
_LARGE, _SIDE, _SMALL = 240, 144, 84

# Number of cases shown for each problem; the JSON has all.
_SHOWN = 60
_IMAGES_OF_A_CASE = 6
_CHARACTERS = 300

# Number of classes of which typical images are shown.
_CLASSES = 40


def page(report: DataReport, config: TransferConfig | None = None) -> str:
    """Returns the page; text that comes from the data is escaped.

    Args:
      report: Findings on the images or texts.
      config: Config by which the source was read; None for the defaults.
    """
    source = report.source
    positions = {image_id: index for index, image_id in enumerate(report.source.ids)}
    return render(
        "data.html",
        name=report.source.name,
        facts=[
            f"{len(report.source):,} {report.source.noun}s of {report.source.labelling.count(report.source.class_names)}; on the "
            f"features of {report.teacher}, {report.probe_says}.",
            *_sizes(report),
            *report.remarks,
        ],
        classes=_classes(report, positions),
        more_classes=max(0, len(report.source.class_names) - _CLASSES),
        sections=[_section(problem, report, positions) for problem in report.problems],
        # Found groups may be divided by declared splits, which stay.
        table=correctable(source if np.any(source.declared_splits != "") else with_groups(source, report.leak)),
        then=training_command("labels.csv", source, config or TransferConfig(), "--workdir=corrected"),
    )


def _sizes(report: DataReport) -> list[str]:
    """Returns a sentence on the sizes of images."""
    found = report.inspection.decodable
    if report.source.noun != "image" or not found.any():
        return []
    heights, widths = report.inspection.heights[found], report.inspection.widths[found]
    by_area = np.argsort(heights.astype(np.int64) * widths, kind="stable")
    smallest, middle, largest = (f"{widths[row]} x {heights[row]}" for row in by_area[[0, len(by_area) // 2, -1]])
    return [f"Sizes, width by height: from {smallest} to {largest} pixels, {middle} in the middle."]


def _classes(report: DataReport, positions: dict[str, int]) -> list[dict[str, Any]]:
    """Returns each class with its number of images, in all and by declared split, and its typical ones."""
    source, typical = report.source, report.exemplars.typical if report.exemplars else {}
    members = source.labelling.members(source.labels, source.class_names)
    splits = [split for split in ("train", "validation", "test") if (source.declared_splits == split).any()]
    return [
        {
            "name": name,
            "images": len(rows),
            "splits": {split: int((source.declared_splits[rows] == split).sum()) for split in splits},
            "typical": [_exemplar(report, positions[each]) for each in typical.get(name, ()) if source.noun == "image"],
        }
        for name, rows in list(members.items())[:_CLASSES]
    ]


def _exemplar(report: DataReport, index: int) -> dict[str, str]:
    source = report.source
    return {
        "id": source.ids[index],
        "label": source.labelling.text(source.labels[index], source.class_names),
        "picture": picture_of(source, report.inspection, index, _SMALL),
    }


def _section(problem: Problem, report: DataReport, positions: dict[str, int]) -> dict[str, Any]:
    shows_images = report.source.noun == "image"
    alike = report.exemplars.alike if report.exemplars and shows_images and problem.kind == "label" else {}
    return {
        "kind": problem.kind,
        "meaning": problem.meaning,
        "count": len(problem.rows),
        "cases": [
            {
                "ids": ids,
                "remark": remark,
                "pictures": [
                    picture_of(report.source, report.inspection, positions[each], _LARGE if len(ids) == 1 else _SIDE)
                    for each in ids[:_IMAGES_OF_A_CASE]
                    if shows_images
                ],
                "texts": [_beginning(report, positions[each]) for each in ids[:_IMAGES_OF_A_CASE] if not shows_images],
                "alike": [_exemplar(report, positions[each]) for each in alike.get(ids[0], ())],
            }
            for ids, remark in list(zip(problem.rows, problem.remarks, strict=True))[:_SHOWN]
        ],
    }


def _beginning(report: DataReport, index: int) -> str:
    """Returns the beginning of a text, which tells what it is about."""
    text = text_of(report.source, index)
    return text[:_CHARACTERS] + ("…" if len(text) > _CHARACTERS else "")


def picture_of(source: Source, inspection: Inspection, index: int, side: int = _SIDE) -> str:
    """Returns the `data:` address of a small picture of an image, or an empty string if it cannot be decoded.

    Args:
      source: The images.
      inspection: Facts on them.
      index: Position of the image.
      side: Longest side of the picture in pixels.
    """
    if not inspection.decodable[index]:
        return ""
    return jpeg_uri(decode_image(tf.constant(source.encoded_image(index))).numpy(), side)
