"""The three methods side by side: the same data, the same teacher, several seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import METHODS, TransferConfig, from_json, to_json
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.run_directory import writing
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


def compare_methods(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    seeds: int,
    processes: int = 1,
    optimize_graphs: bool = True,
) -> tuple[MethodResult, ...]:
    """Trains replicate, feature_extraction and fine_tune with each seed, every run in a directory of its own.

    Runs that are finished are not trained again. `config.model.method` and `config.model.unfreeze` are those of
    `fine_tune`, whose first run alone is exported. Each seed has splits, initial weights and order of its own, the same
    for all methods.

    Args:
      config: What the runs share.
      workdir: Gets the directories `METHOD/seed_N`.
      seeds: How many, from `config.seed` up.
      processes: Methods trained at the same time, each in a process of its own that writes what it has to say to
        `METHOD/log.txt`. 1: in this process, one after the other.
      optimize_graphs: Whether TensorFlow optimises the graphs; for runs of seconds that takes longer than it saves.
    """
    arguments = [
        (to_json(config), method, pathlib.Path(workdir) / method, seeds, optimize_graphs) for method in METHODS
    ]
    if processes == 1:
        results = [_train_seeds(*each) for each in arguments]
    else:
        # Spawned, not forked: TensorFlow's threads do not survive a fork. The longest start first.
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            by_method = {each[1]: each for each in arguments}
            order = ("fine_tune", "replicate", "feature_extraction")
            futures = {method: pool.submit(_train_seeds_logged, *by_method[method]) for method in order}
            results = [futures[method].result() for method in METHODS]
    return tuple(
        _summarize(method, pathlib.Path(workdir) / method, each) for method, each in zip(METHODS, results, strict=True)
    )


def _train_seeds(
    config: dict[str, Any], method: str, folder: pathlib.Path, seeds: int, optimize_graphs: bool
) -> list[dict[str, Any]]:
    """Trains one method with every seed and returns the results; the seeds share what is costly to make."""
    if not optimize_graphs:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    workshop, results = Workshop(), []
    for i in range(seeds):
        one = from_json(config)
        one.seed, one.model.method = one.seed + i, method
        if method != "fine_tune":
            one.model.unfreeze = ""
        if method != "fine_tune" or i > 0:
            one.export = "none"
        results.append(train_and_evaluate(one, folder / f"seed_{one.seed}", workshop=workshop))
    return results


def _train_seeds_logged(
    config, method: str, folder: pathlib.Path, seeds: int, optimize_graphs: bool
) -> list[dict[str, Any]]:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        results = _train_seeds(config, method, folder, seeds, optimize_graphs)
    print(f"{method}: {seeds} {'run' if seeds == 1 else 'runs'} done", file=sys.stderr, flush=True)
    return results


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


def _summarize(method: str, folder: pathlib.Path, results: list[dict[str, Any]]) -> MethodResult:
    measured_on = "test" if "test_accuracy" in results[0] else "validation"
    return MethodResult(
        method=method,
        workdirs=tuple(folder / f"seed_{result['seed']}" for result in results),
        accuracies=np.array([result[f"{measured_on}_accuracy"] for result in results]),
        measured_on=measured_on,
        seconds=np.array([sum(result["seconds"].values()) for result in results]),
        parameters_trained=results[0]["parameters_trained"],
    )
