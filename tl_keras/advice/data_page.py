"""Writes the report on a set of images as one HTML page with thumbnails inside."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tl_keras.advice.corrections import correctable
from tl_keras.advice.data_report import DataReport, Problem
from tl_keras.data.decoding import decode_image
from tl_keras.reporting.page import jpeg_uri, render

# Longest side of a thumbnail in pixels; it takes about 5 KiB.
_SIDE = 144

# Number of cases shown for each problem; the JSON has all.
_SHOWN = 60
_IMAGES_OF_A_CASE = 6


def page(report: DataReport) -> str:
    """Returns the page; text that comes from the data is escaped."""
    positions = {image_id: index for index, image_id in enumerate(report.source.ids)}
    return render(
        "data.html",
        name=report.source.name,
        facts=[
            f"{len(report.source):,} images of {report.source.labelling.count(report.source.class_names)}; on the features of "
            f"{report.teacher}, {report.probe_says}.",
            *report.remarks,
        ],
        sections=[_section(problem, report, positions) for problem in report.problems],
        table=correctable(report.source),
    )


def _section(problem: Problem, report: DataReport, positions: dict[str, int]) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "meaning": problem.meaning,
        "count": len(problem.rows),
        "cases": [
            {
                "ids": ids,
                "remark": remark,
                "pictures": [(each, _thumbnail(report, positions[each])) for each in ids[:_IMAGES_OF_A_CASE]],
            }
            for ids, remark in list(zip(problem.rows, problem.remarks, strict=True))[:_SHOWN]
        ],
    }


def _thumbnail(report: DataReport, index: int) -> str:
    """Returns the `data:` address of a thumbnail, or an empty string if the image cannot be decoded."""
    if not report.inspection.decodable[index]:
        return ""
    return jpeg_uri(decode_image(tf.constant(report.source.encoded_image(index))).numpy(), _SIDE)
