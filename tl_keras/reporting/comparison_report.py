"""Compares finished runs by their directories alone: no model is loaded and no image is read."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig, flatten, options_of, to_json
from tl_keras.console import in_words
from tl_keras.errors import DataError
from tl_keras.evaluation.budget import equal_time, score_by, still_rising
from tl_keras.evaluation.paired import Paired, mean_and_interval, paired_test
from tl_keras.files import replacing
from tl_keras.reporting import figures
from tl_keras.reporting.finished_run import FinishedRun, read_run
from tl_keras.reporting.page import render

_REPORT = "report.html"


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
      DataError: A directory holds no finished run, is named twice, or has another score than the first.
      WorkdirError: The disk is full, or the place is not writable.
    """
    path, runs = pathlib.Path(out), [read_run(workdir) for workdir in workdirs]
    _require_comparable(runs)
    facts = comparison_facts(runs, page=path)
    with replacing(path) as temporary:
        temporary.write_text(render("comparison.html", comparison=facts, sweep=_sweep(path.parent)), encoding="utf-8")
    return path


def _require_comparable(runs: Sequence[FinishedRun]) -> None:
    """Raises a DataError for runs that say nothing about each other.

    Raises:
      DataError: Two have different scores, or are the same.
    """
    places = [run.path.resolve() for run in runs]
    if twice := next((run.path for number, run in enumerate(runs) if places[number] in places[:number]), None):
        raise DataError(f"report: expected different runs. Received: {twice} twice. Leave one out.")
    first = runs[0]
    for run in runs:
        if run.result.score_name != first.result.score_name:
            raise DataError(
                f"report: expected runs with the same score. Received: {first.path} with {in_words(first.result.score_name)} and "
                f"{run.path} with {in_words(run.result.score_name)}. Compare the runs of each task by themselves."
            )


def comparison_facts(runs: Sequence[FinishedRun], *, page: pathlib.Path) -> dict[str, Any]:
    """Returns the facts that a page shows of compared runs, the best first; an empty dictionary if there are none.

    Args:
      runs: The runs.
      page: Path of the page, from which links to the runs' pages lead.
    """
    if not runs:
        return {}
    runs = sorted(runs, key=lambda run: -run.result.score)
    names = _names(runs)
    score_name = in_words(runs[0].result.score_name)
    budget = equal_time([run.result for run in runs])
    return {
        "rows": list(zip(names, runs, strict=True)),
        "links": [_link(run, page) for run in runs],
        "groups": _groups(runs),
        "paired": _paired(runs),
        "equal_time": budget,
        "by_then": [score_by(run.result, budget) for run in runs],
        "rising": [still_rising(run.result) for run in runs],
        "scores": figures.scores(
            names, [run.result.score for run in runs], [run.interval for run in runs], name=score_name
        ),
        "curves": figures.validation_curves(names, [run.epochs() for run in runs], name=score_name),
        "score_name": score_name,
        "same_images": _on_same_images(runs),
        "settings": _settings(runs),
    }


def _sweep(folder: pathlib.Path) -> dict[str, str] | None:
    """Returns the choice and the picture of the sweep whose directory a page is written to, or None where it is another's."""
    record, drawn = folder / "sweep.json", folder / "sweep.png"
    if not record.is_file() or not drawn.is_file():
        return None
    picture = base64.b64encode(drawn.read_bytes()).decode()
    chosen = json.loads(record.read_text(encoding="utf-8"))["chosen"]
    return {"chosen": chosen, "picture": f"data:image/png;base64,{picture}"}


def _on_same_images(runs: Sequence[FinishedRun]) -> bool:
    return len({tuple(run.splits[run.split]) for run in runs}) == 1


def _link(run: FinishedRun, page: pathlib.Path) -> str:
    """Returns the address of a run's page as seen from another page, or an empty text if it has none."""
    own = run.path / _REPORT
    if not own.is_file() or own.resolve() == page.resolve():
        return ""
    return urllib.parse.quote(pathlib.Path(os.path.relpath(own.resolve(), page.resolve().parent)).as_posix())


def _groups(runs: Sequence[FinishedRun]) -> list[dict[str, Any]]:
    """Returns the groups of runs that differ in their seeds alone, the best first; none where each run is a group."""
    members: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run in runs:
        members.setdefault(run.group, []).append(run)
    if len(members) == len(runs):
        return []
    groups = []
    for of_group in members.values():
        scores = [run.result.score for run in of_group]
        mean, interval = mean_and_interval(scores) if len(scores) > 1 else (scores[0], of_group[0].interval)
        groups.append({"name": _variant(of_group[0]), "runs": of_group, "mean": mean, "interval": interval})
    return sorted(groups, key=lambda group: -group["mean"])


def _variant(run: FinishedRun) -> str:
    """Returns the name of a run without its seed, as a comparison names directories, or the method of others."""
    name, _, seed = run.name.partition("/")
    return name if seed else in_words(run.result.method)


def _paired(runs: Sequence[FinishedRun]) -> list[Paired | None]:
    """Returns for each run its comparison with the best, the first; None for that itself, and where images are not the same."""
    best = runs[0]
    right = best.right()
    tests: list[Paired | None] = [None]
    for run in runs[1:]:
        own = run.right() if right is not None and _on_same_images([best, run]) else None
        tests.append(paired_test(np.asarray(right), own) if own is not None else None)
    return tests


def _settings(runs: Sequence[FinishedRun]) -> dict[str, list[str]]:
    """Returns the settings that differ, each with its value for every run, in words."""
    described = {option.path: option for option in options_of(TransferConfig)}
    configs = [flatten(to_json(run.config)) for run in runs]
    return {
        field: [described[field].in_words(config[field]) for config in configs]
        for field in configs[0]
        if len({config[field] for config in configs}) > 1
    }


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """Returns the short names if they tell the runs apart, else the paths."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]
