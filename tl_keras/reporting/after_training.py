"""The pages that training leaves behind: the runs are finished, so what goes wrong here is said and no more."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Sequence

from tl_keras.reporting.comparison_report import write_comparison
from tl_keras.reporting.run_report import REPORT, refresh_time, write_report


def report_run(workdir: str | os.PathLike[str]) -> None:
    """Writes the page of a finished run and says where it is; of a page that is there, only the time, where that has changed."""
    page = pathlib.Path(workdir, REPORT)
    if page.exists():
        refresh_time(workdir)
        return
    _write(page, lambda: write_report(workdir))


def report_comparison(
    workdir: str | os.PathLike[str], runs: Sequence[pathlib.Path], *, in_full: Sequence[pathlib.Path]
) -> None:
    """Writes a page that compares finished runs, and those of some of them.

    Args:
      workdir: Gets the page.
      runs: Their directories.
      in_full: Those that get a page of their own.
    """
    for run in in_full:
        report_run(run)
    page = pathlib.Path(workdir, REPORT)
    _write(page, lambda: write_comparison(runs, page))


def _write(page: pathlib.Path, write: Callable[[], pathlib.Path]) -> None:
    try:
        print(f"wrote: {write()}")
    except Exception as error:  # whatever it is, training is over and its result is there
        said = str(error).splitlines()[:1] or [type(error).__name__]
        print(f"no {page}: {said[0]}", file=sys.stderr)
