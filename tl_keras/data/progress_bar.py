"""Shows the one progress bar, over images, on stderr, if somebody is watching."""

from __future__ import annotations

import sys

import tqdm.auto

from tl_keras.console import in_notebook, progress_stream


def progress_bar(description: str, *, images: int, shown: bool = True) -> tqdm.auto.tqdm:
    """Returns a bar that appears in a terminal or a notebook, but not in a log file.

    Args:
      description: Text before the bar.
      images: Number of images at which the bar is full.
      shown: Whether to show a bar at all.
    """
    return tqdm.auto.tqdm(
        desc=description,
        total=images,
        unit=" images",
        file=progress_stream(),
        dynamic_ncols=True,
        leave=False,
        disable=not (shown and is_watched()),
    )


def is_watched() -> bool:
    """Returns whether stderr is a terminal, or ipykernel's output below a cell of a notebook."""
    return sys.stderr.isatty() or in_notebook()
