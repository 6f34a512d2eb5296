"""The three methods side by side: the same data, the same teacher, several seeds."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from tl_keras.config import METHODS, TransferConfig, from_json, to_json
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.workshop import Workshop


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """What one method came to over the seeds; arrays are float64 (seeds,)."""

    method: str
    workdirs: tuple[pathlib.Path, ...]
    accuracies: np.ndarray
    measured_on: str
    seconds: np.ndarray
    parameters_trained: int


def compare_methods(config: TransferConfig, workdir: str | os.PathLike[str], *, seeds: int) -> tuple[MethodResult, ...]:
    """Trains replicate, feature_extraction and fine_tune with each seed, every run in a directory of its own.

    Runs that are finished are not trained again. `config.model.method` and `config.model.unfreeze` are those of
    `fine_tune`, whose first run alone is exported. Each seed has splits, initial weights and order of its own, the same
    for all methods.

    Args:
      config: What the runs share.
      workdir: Gets the directories `METHOD/seed_N`.
      seeds: How many, from `config.seed` up.
    """
    results: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    folders = {
        method: [pathlib.Path(workdir) / method / f"seed_{config.seed + i}" for i in range(seeds)] for method in METHODS
    }
    workshops = {method: Workshop() for method in METHODS}
    for i in range(seeds):
        for method in METHODS:
            one = from_json(to_json(config))
            one.seed, one.model.method = config.seed + i, method
            if method != "fine_tune":
                one.model.unfreeze = ""
            if method != "fine_tune" or i > 0:
                one.export = "none"
            results[method].append(train_and_evaluate(one, folders[method][i], workshop=workshops[method]))
    return tuple(_summarize(method, folders[method], results[method]) for method in METHODS)


def table(rows: tuple[MethodResult, ...]) -> str:
    """Returns the comparison as text: accuracy (mean and standard deviation over seeds), seconds, parameters."""
    lines = [f"{'method':<20} {rows[0].measured_on + ' accuracy':>22} {'seconds':>9} {'parameters trained':>20}"]
    for row in rows:
        spread = f" ± {row.accuracies.std(ddof=1):.3f}" if len(row.accuracies) > 1 else ""
        lines.append(
            f"{row.method:<20} {f'{row.accuracies.mean():.3f}{spread}':>22} {np.median(row.seconds):>9.1f} "
            f"{row.parameters_trained:>20,}"
        )
    seeds = len(rows[0].accuracies)
    lines.append(
        f"({'mean ± standard deviation over ' + str(seeds) + ' seeds; ' if seeds > 1 else ''}seconds of training a run)"
    )
    return "\n".join(lines)


def _summarize(method: str, workdirs: list[pathlib.Path], results: list[dict[str, Any]]) -> MethodResult:
    measured_on = "test" if "test_accuracy" in results[0] else "validation"
    return MethodResult(
        method=method,
        workdirs=tuple(workdirs),
        accuracies=np.array([result[f"{measured_on}_accuracy"] for result in results]),
        measured_on=measured_on,
        seconds=np.array([sum(result["seconds"].values()) for result in results]),
        parameters_trained=results[0]["parameters_trained"],
    )
