"""The report on a set of images as one HTML page that needs nothing else: thumbnails are inside it."""

from __future__ import annotations

import base64
import html

import tensorflow as tf

from tl_keras.advice.data_report import DataReport, Problem
from tl_keras.data.base import Source
from tl_keras.data.decoding import decode_image

# Longest side of a thumbnail in pixels; it takes about 3 KiB.
_SIDE = 112

# Cases of a kind that are shown; the JSON has all.
_SHOWN = 60
_IMAGES_OF_A_CASE = 6

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; }
h2 { margin: 1.6em 0 .2em; } p { margin: .3em 0; } .cases { display: flex; flex-wrap: wrap; gap: 12px; margin-top: .6em; }
figure { margin: 0; padding: 6px; border: 1px solid #ccc; border-radius: 6px; max-width: 20em; }
figcaption { font-size: 12px; overflow-wrap: anywhere; } img { margin-right: 4px; vertical-align: top; }
"""


def page(report: DataReport) -> str:
    """Returns the page; text that comes from the data is escaped."""
    positions = {image_id: index for index, image_id in enumerate(report.source.ids)}
    facts = [
        f"{len(report.source):,} images of {len(report.source.class_names)} classes; a linear probe on the features of "
        f"{report.teacher} gets {report.probe_accuracy:.3f} of the labels right.",
        *report.source.notes,
        *report.inspection.findings,
    ]
    name = html.escape(report.source.name)
    body = [f"<h1>{name}</h1>", *(f"<p>{html.escape(fact)}</p>" for fact in facts)]
    for problem in report.problems:
        body += _section(problem, report, positions)
    if not report.problems:
        body.append("<p>Nothing else was found.</p>")
    head = f'<meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{chr(10).join(body)}\n</body></html>\n'


def _section(problem: Problem, report: DataReport, positions: dict[str, int]) -> list[str]:
    figures = []
    for ids, remark in list(zip(problem.rows, problem.remarks, strict=True))[:_SHOWN]:
        thumbnails = [_thumbnail(report, positions[each]) for each in ids[:_IMAGES_OF_A_CASE]]
        names = "<br>".join(html.escape(each) for each in ids)
        figures.append(
            f"<figure>{''.join(thumbnails)}<figcaption>{names}<br><b>{html.escape(remark)}</b></figcaption></figure>"
        )
    more = len(problem.rows) - len(figures)
    return [
        f"<h2>{html.escape(problem.kind)}: {len(problem.rows)}</h2><p>{html.escape(problem.meaning)}.</p>",
        f'<div class="cases">{"".join(figures)}</div>',
        *([f"<p>and {more} more, in the JSON</p>"] if more else []),
    ]


def _thumbnail(report: DataReport, index: int) -> str:
    """Returns an img element; a word where the image cannot be decoded."""
    if not report.inspection.decodable[index]:
        return "<i>no image</i>"
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(_jpeg(report.source, index)).decode()}">'


def _jpeg(source: Source, index: int) -> bytes:
    pixels = tf.cast(decode_image(tf.constant(source.encoded_image(index))), tf.float32)
    small = tf.image.resize(pixels, (_SIDE, _SIDE), preserve_aspect_ratio=True, antialias=True)
    return tf.io.encode_jpeg(tf.cast(tf.clip_by_value(small, 0, 255), tf.uint8), quality=80).numpy()
