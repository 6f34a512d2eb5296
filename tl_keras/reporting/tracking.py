"""Enters a finished run into experiment trackers, through their own packages: MLflow, Weights & Biases; or a CSV file."""

from __future__ import annotations

import csv
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tl_keras.config import flatten, to_json
from tl_keras.console import first_line
from tl_keras.errors import ConfigError, DependencyError, nearest
from tl_keras.files import replacing
from tl_keras.reporting.finished_run import FinishedRun, read_run

# Files that say what the run was; the model stays where it is.
_FILES = ("config.json", "result.json", "report.html", "README.md")


def parse_trackers(text: str) -> tuple[str, ...]:
    """Returns the names in a comma-separated list.

    Raises:
      ConfigError: A tracker is unknown.
      DependencyError: Its package is not installed.
    """
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(
                f"log: expected some of {', '.join(TRACKERS)}, comma-separated. Received: {name}. {nearest(name, TRACKERS)}"
                "TensorBoard's files are always in logs/."
            )
        if name != "csv" and importlib.util.find_spec(name) is None:
            raise DependencyError(
                f"log: expected the package {name}. Received: not installed. Run: pip install 'tl_keras[{name}]'"
            )
    return names


def track(workdir: str | os.PathLike[str], names: Iterable[str]) -> None:
    """Enters a finished run, whose result is saved, into each tracker, and prints where; an error is only printed.

    Args:
      workdir: Directory of the run.
      names: Names from `parse_trackers`.
    """
    run = read_run(workdir)
    for name in names:
        noted = run.path / "logs" / f"{name}.txt"  # by which the same command does not enter it again
        if noted.is_file():
            print(f"logged before: {noted.read_text(encoding='utf-8').strip()}")
            continue
        try:
            place = TRACKERS[name](run)
        except (
            Exception
        ) as error:  # whatever it is, such as a server that is down: training is over and its result is saved
            print(f"not logged by {name}: {first_line(error)}", file=sys.stderr)
            continue
        noted.parent.mkdir(exist_ok=True)
        with replacing(noted) as temporary:
            temporary.write_text(f"{place}\n", encoding="utf-8")
        print(f"logged: {place}")


def _settings(run: FinishedRun) -> dict[str, Any]:
    """Returns the resolved config by dotted names, without what is empty."""
    return {name: value for name, value in flatten(to_json(run.config)).items() if value not in ("", None)}


def _epochs(run: FinishedRun) -> list[dict[str, Any]]:
    """Returns the numbers of each epoch, by the keys of `metrics.jsonl`."""
    return [epoch.to_json() for epoch in run.epochs()]


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _files(run: FinishedRun) -> list[pathlib.Path]:
    return [path for name in _FILES if (path := run.path / name).is_file()]


def _in_csv(run: FinishedRun) -> str:
    """Writes `metrics.csv` in the run directory, a row for each epoch."""
    epochs, path = _epochs(run), run.path / "metrics.csv"
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(dict.fromkeys(name for epoch in epochs for name in epoch)))
        rows.writeheader()
        rows.writerows(epochs)
    return str(path)


def _in_mlflow(run: FinishedRun) -> str:
    """Enters the run at `MLFLOW_TRACKING_URI`, or where MLflow puts runs without one."""
    import mlflow

    with mlflow.start_run(run_name=run.name) as entered:
        mlflow.log_params(_settings(run))
        mlflow.set_tags({"backbone": run.result.backbone, "method": run.result.method})
        for epoch in _epochs(run):
            mlflow.log_metrics(_numbers(epoch), step=epoch["epoch"])
        mlflow.log_metrics({f"result/{name}": value for name, value in _numbers(run.result.to_json()).items()})
        for path in _files(run):
            mlflow.log_artifact(str(path))
        return f"run {entered.info.run_id} of MLflow, {mlflow.get_tracking_uri()}"


def _in_wandb(run: FinishedRun) -> str:
    """Enters the run into the project that `WANDB_PROJECT` names, or tl_keras; `WANDB_MODE=offline` keeps it on the disk."""
    import wandb

    entered = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "tl_keras"),
        name=run.name,
        config=_settings(run),
        dir=str(run.path),
        settings=wandb.Settings(silent=True),
    )
    with entered:
        for epoch in _epochs(run):
            entered.log(_numbers(epoch), step=epoch["epoch"])
        entered.summary.update({f"result/{name}": value for name, value in _numbers(run.result.to_json()).items()})
        artifact = wandb.Artifact(f"{entered.id}-page", type="report")
        for path in _files(run):
            artifact.add_file(str(path))
        entered.log_artifact(artifact)
        return f"run {entered.id} of Weights & Biases, {entered.url or entered.dir}"


TRACKERS: dict[str, Callable[[FinishedRun], str]] = {"csv": _in_csv, "mlflow": _in_mlflow, "wandb": _in_wandb}
