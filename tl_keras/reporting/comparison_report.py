"""Compares finished runs by their directories alone: no model is loaded and no image is read."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from tl_keras.config import flatten, to_json
from tl_keras.console import in_words
from tl_keras.evaluation.budget import equal_time, score_by, still_rising
from tl_keras.files import replacing
from tl_keras.reporting import figures
from tl_keras.reporting.finished_run import FinishedRun, read_run
from tl_keras.reporting.page import render


def write_comparison(workdirs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a page that compares finished runs.

    Example:
      ```python
      from tl_keras.reporting.comparison_report import write_comparison

      write_comparison(["run1", "run2"], "comparison.html")
      ```

    Args:
      workdirs: Two or more run directories.
      out: Path of the page.

    Returns:
      The path of the page.

    Raises:
      DataError: A directory holds no finished run.
      WorkdirError: The disk is full, or the place is not writable.
    """
    text = render("comparison.html", comparison=comparison_facts([read_run(workdir) for workdir in workdirs]))
    path = pathlib.Path(out)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def comparison_facts(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Returns the facts that a page shows of compared runs, the best first; an empty dictionary if there are none."""
    if not runs:
        return {}
    runs = sorted(runs, key=lambda run: -run.result.score)
    names = _names(runs)
    score_name = in_words(runs[0].result.score_name)
    budget = equal_time([run.result for run in runs])
    configs = [flatten(to_json(run.config)) for run in runs]
    return {
        "rows": list(zip(names, runs, strict=True)),
        "equal_time": budget,
        "by_then": [score_by(run.result, budget) for run in runs],
        "rising": [still_rising(run.result) for run in runs],
        "scores": figures.scores(
            names, [run.result.score for run in runs], [run.interval for run in runs], name=score_name
        ),
        "score_name": score_name,
        "same_images": len({tuple(run.splits[run.split]) for run in runs}) == 1,
        "settings": {
            field: [config[field] for config in configs]
            for field in configs[0]
            if len({config[field] for config in configs}) > 1
        },
    }


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """Returns the short names if they tell the runs apart, else the paths."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]
