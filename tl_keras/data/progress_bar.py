"""The one progress bar: over images, on stderr, where somebody watches."""

from __future__ import annotations

import sys

import tqdm.auto


def progress_bar(description: str, *, images: int, shown: bool = True) -> tqdm.auto.tqdm:
    """Returns a bar that is seen in a terminal or a notebook; a log file gets none.

    Args:
      description: Stands before the bar.
      images: When it is full.
      shown: Whether there is one at all.
    """
    return tqdm.auto.tqdm(
        desc=description,
        total=images,
        unit=" images",
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
        disable=not (shown and _is_watched()),
    )


def _is_watched() -> bool:
    """Whether stderr is a terminal, or what ipykernel shows below a cell of a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__ == "ipykernel.iostream"
