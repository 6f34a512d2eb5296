"""Writes the pages after training; the runs are finished, so an error here is only printed."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Sequence

from tl_keras.console import first_line
from tl_keras.reporting.comparison_report import write_comparison
from tl_keras.reporting.finished_run import read_run
from tl_keras.reporting.model_card import write_model_card
from tl_keras.reporting.run_report import REPORT, refresh_ending, write_report
from tl_keras.reporting.tensorboard_images import write_confusion_image


def report_run(workdir: str | os.PathLike[str]) -> None:
    """Writes page and model card of a finished run, and prints the path; of an existing page only time and exports are updated."""
    write_model_card(workdir)
    page = pathlib.Path(workdir, REPORT)
    if page.exists():
        refresh_ending(workdir)
        return
    _write(page, lambda: _page_and_image(workdir))


def report_comparison(
    workdir: str | os.PathLike[str], runs: Sequence[pathlib.Path], *, in_full: Sequence[pathlib.Path]
) -> None:
    """Writes a page that compares finished runs, and a page for some of them.

    Args:
      workdir: Directory that receives the page.
      runs: Directories of the runs to compare.
      in_full: Directories of the runs that also get their own page.
    """
    for run in in_full:
        report_run(run)
    page = pathlib.Path(workdir, REPORT)
    _write(page, lambda: write_comparison(runs, page))


def _page_and_image(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the page, and the image for TensorBoard; returns the path of the page."""
    page = write_report(workdir)
    write_confusion_image(read_run(workdir))
    return page


def _write(page: pathlib.Path, write: Callable[[], pathlib.Path]) -> None:
    try:
        print(f"wrote: {write()}")
    except Exception as error:  # whatever it is, training is over and its result is saved
        print(f"no {page}: {first_line(error)}", file=sys.stderr)
