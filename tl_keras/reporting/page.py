"""Renders pages from Jinja2 templates that share a base, with escaped text and with images inside the page."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from tl_keras.console import in_digits, number_of, part_in_digits

if TYPE_CHECKING:
    import numpy as np

    from tl_keras.reporting.finished_run import FinishedRun

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("tl_keras.reporting"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["percent"] = lambda part: "-" if part is None else f"{part:.1%}"
_ENVIRONMENT.filters["threshold"] = lambda part: part_in_digits(part, 3)
_ENVIRONMENT.filters["whole_percent"] = lambda part: f"{part:.0%}"
_ENVIRONMENT.filters["figure"] = lambda value: "-" if value is None else in_digits(value)
_ENVIRONMENT.filters["grouped"] = lambda number: f"{number:,}"


def counted(count: int, noun: str) -> str:
    """Returns a number of things, such as "1 image" or "1,200 images"."""
    return f"{count:,} {number_of(count, noun).partition(' ')[2]}"


_ENVIRONMENT.filters["counted"] = counted


def score_text(score: float, run: FinishedRun) -> str:
    """Returns a score of a run as people read it: an accuracy in percent; of other scores not all are parts of a whole."""
    return f"{score:.1%}" if run.result.score_name == "accuracy" else f"{score:.3f}"


def breakable(name: str) -> Markup:
    """Returns a name as HTML in which lines may break after each /, _ and -, so that `63.jpg` of `test/rose/63.jpg` stays whole."""
    return Markup("<wbr>").join(re.split("(?<=[/_-])", name))


_ENVIRONMENT.filters["score"] = score_text
_ENVIRONMENT.filters["breakable"] = breakable


def render(template: str, **values: Any) -> str:
    """Returns a rendered page.

    Args:
      template: Name of a file in `templates/`.
      values: Values that the template uses; all text in them is escaped, and so are the bytes of names that are not UTF-8.
    """
    text = _ENVIRONMENT.get_template(template).render(values)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def jpeg_uri(pixels: np.ndarray, side: int) -> str:
    """Returns a picture as a `data:` address.

    Args:
      pixels: (height, width, 3), RGB, 0 to 255, any dtype.
      side: Longest side of the picture in pixels; the aspect is kept.
    """
    from tl_keras.data.decoding import small_jpeg  # with TensorFlow: a page without pictures is written without it

    return f"data:image/jpeg;base64,{base64.b64encode(small_jpeg(pixels, side)).decode()}"
