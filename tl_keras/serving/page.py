"""Fills the server's page in for one version of a model: it is for photos or for texts, and shows the answers of any task."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Sequence

# The page loads nothing from other hosts, and its photo stays between the browser and this server.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src 'self' blob:"


def page_of(name: str, *, takes: str, class_names: Sequence[str], look_alikes: bool) -> str:
    """Returns the page, HTML.

    Args:
      name: Name of the model for clients: letters, digits, `_`, `.` and `-`.
      takes: Input of the model: `image_bytes` or `text`.
      class_names: Names of the classes, labels or numbers, in the order of the outputs.
      look_alikes: Whether the server has an index for `/v1/similar`.
    """
    texts, names = takes == "text", json.dumps(list(class_names)).replace("<", "\\u003c")  # no tag ends the script
    filled = {
        "name": name,
        "photos": "hidden" if texts else "",
        "texts": "" if texts else "hidden",
        "noun": "text" if texts else "photo",
        "tabs": "" if look_alikes and not texts else "hidden",
        "names": names,
    }
    page = _template()
    for place, value in filled.items():
        page = page.replace(f"{{{{{place}}}}}", value)
    return page


@functools.cache
def _template() -> str:
    return pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8")
