"""Shows the one progress bar, over images, on stderr, if somebody is watching."""

from __future__ import annotations

import importlib.util
import sys

import tqdm

from tl_keras.console import in_notebook, progress_stream


def progress_bar(description: str, *, images: int, shown: bool = True) -> tqdm.tqdm:
    """Returns a bar that appears in a terminal or a notebook, but not in a log file.

    Args:
      description: Text before the bar.
      images: Number of images at which the bar is full.
      shown: Whether to show a bar at all.
    """
    return _kind_of_bar()(
        desc=description,
        total=images,
        unit=" images",
        file=progress_stream(),
        dynamic_ncols=True,
        leave=False,
        disable=not (shown and is_watched()),
    )


def _kind_of_bar() -> type[tqdm.tqdm]:
    """Returns the bar of notebooks, which warns in red where ipywidgets is not there to draw it, or the one of text."""
    if not in_notebook() or importlib.util.find_spec("ipywidgets") is None:
        return tqdm.tqdm
    from tqdm.notebook import tqdm_notebook

    return tqdm_notebook


def is_watched() -> bool:
    """Returns whether stderr is a terminal, or ipykernel's output below a cell of a notebook."""
    return sys.stderr.isatty() or in_notebook()
