"""Reads a finished run directory without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from tl_keras.config import DecisionConfig, TransferConfig, flatten, from_json, to_json
from tl_keras.errors import DataError
from tl_keras.evaluation.budget import score_interval
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import EpochRecord, RunResult

_SEED = "seed_"  # prefix of a comparison's run directories, below that of their variant


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A run that has ended.

    Attributes:
      path: Directory of the run.
      config: Resolved config.
      result: Content of `result.json`.
      splits: Content of `splits.json`.
    """

    path: pathlib.Path
    config: TransferConfig
    result: RunResult
    splits: dict[str, Any]

    @property
    def name(self) -> str:
        """Returns the run's name in a comparison: its directory, preceded by that of its variant if there is one."""
        path = self.path.resolve()
        return f"{path.parent.name}/{path.name}" if path.name.startswith(_SEED) else path.name

    @property
    def split(self) -> str:
        """Returns the split of the reported score: `test` if it was measured, else `validation`."""
        return self.result.split

    @property
    def images(self) -> int:
        """Returns the number of images in `split`."""
        return self.result.images[self.split]

    @property
    def interval(self) -> tuple[float, float]:
        """Returns the 95% interval of the score."""
        return score_interval(self.result)

    @property
    def seconds(self) -> float:
        """Returns the seconds that a person waited, from the start of the command to its end."""
        return self.result.total_seconds

    def epochs(self) -> list[EpochRecord]:
        """Returns the epochs of the run, at least up to the one that was kept."""
        return RunDirectory(self.path).read_epochs(at_least=self.result.kept_epoch)

    def logits(self) -> np.ndarray:
        """Returns the student's logits, float32 (n, outputs), for the images of `split` in the order of the source.

        Raises:
          DataError: The run has not written the logits.
        """
        run = RunDirectory(self.path)
        if not run.logits.exists():
            raise DataError(f"report: expected {run.logits}, which training writes. Received: a directory without it.")
        return run.read_logits()

    def right(self) -> np.ndarray | None:
        """Returns which images of `split` are answered rightly, bool (n,), where the most probable class is the answer.

        None is returned for other tasks and decisions, and for runs of versions that did not keep the labels.
        """
        labels = RunDirectory(self.path).read_labels() if RunDirectory(self.path).logits.exists() else None
        if labels is None or self.result.score_name != "accuracy" or self.config.decision != DecisionConfig():
            return None
        return self.logits().argmax(axis=1) == labels

    @property
    def group(self) -> tuple[str, ...]:
        """Returns the settings that runs of one group have in common: all but the seed and what follows training."""
        config = flatten(to_json(self.config))
        return tuple(
            f"{name}={value}" for name, value in config.items() if name not in ("seed", "export", "price_per_hour")
        )

    def audit(self) -> dict[str, Any] | None:
        """Returns the content of `audit.json`, or None if `python -m tl_keras.audit` has not measured the run."""
        return RunDirectory(self.path).read_audit()

    def compared_with(self) -> list[FinishedRun]:
        """Returns the finished runs of the comparison or sweep that this run belongs to, itself included, or an empty list."""
        path = self.path.resolve()
        if not path.name.startswith(_SEED):
            return []
        results = sorted(path.parent.parent.glob(f"*/{_SEED}*/result.json"))
        return [read_run(result.parent) for result in results] if len(results) > 1 else []


def read_run(workdir: str | os.PathLike[str]) -> FinishedRun:
    """Reads a run directory.

    Raises:
      DataError: It holds no run, or one that is not finished.
      ConfigError: Another version of tl_keras wrote the run.
    """
    run = RunDirectory(workdir)
    begun, result, splits = run.read_config(), run.read_result(), run.read_splits()
    if soup := run.read_soup():
        raise DataError(
            f"report: expected the directory of a run. Received: {run.path}, an average of {len(soup.of)} runs, which was not "
            f"trained. Report the runs that it was made of: {', '.join(soup.of)}."
        )
    if begun is None or splits is None or result is None:
        raise DataError(
            f"report: expected the directory of a finished run. Received: {run.path}, without {_lacking(run)}. Train first, "
            "or give the same command again: it resumes where training stopped, and writes removed files again."
        )
    return FinishedRun(run.path, from_json(begun["config"]), result, splits)


def _lacking(run: RunDirectory) -> str:
    return ", ".join(name for name in run.missing() if name.endswith(".json"))
