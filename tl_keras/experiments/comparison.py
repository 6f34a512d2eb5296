"""Compares runs on the same data, teacher and seeds: the three methods, or a sweep over cuts and learning rates."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import pathlib
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.config import METHODS, TransferConfig, choose_cut, export_formats, from_json, to_json
from tl_keras.console import import_quietly, in_words, say
from tl_keras.distribution.cluster import read_cluster
from tl_keras.errors import ConfigError
from tl_keras.evaluation.budget import equal_time, score_by, still_rising
from tl_keras.experiments.folds import train_with_folds
from tl_keras.files import writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import RunResult
from tl_keras.serving.export import export_finished, missing_exports
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of a comparison: a config, and the name of its row and directory."""

    name: str
    config: TransferConfig


@dataclasses.dataclass(frozen=True)
class Row:
    """The results of one variant over the seeds; arrays are float64 (seeds,).

    Attributes:
      name: Name of the variant.
      workdirs: Run directories, one per seed.
      validation: Scores on the validation images.
      test: Scores on the test images, or None if no test split was measured.
      seconds: Time of training, computing features and evaluating.
      parameters_trained: Number of trained parameters.
      results: Results of the runs, one per seed.
    """

    name: str
    workdirs: tuple[pathlib.Path, ...]
    validation: np.ndarray
    test: np.ndarray | None
    seconds: np.ndarray
    parameters_trained: int
    results: tuple[RunResult, ...]


def method_variants(config: TransferConfig) -> tuple[Variant, ...]:
    """Returns replicate, feature_extraction and fine_tune; the config's `unfreeze` applies to fine_tune."""
    variants = []
    for method in METHODS:
        one = from_json(to_json(config))
        if config.model.unfreeze or config.model.unfreeze_schedule:
            one.model.pooling = one.model.pooling or "average"  # the cut is one of the whole teacher, for all of them
        one.model.method = method
        if method != "fine_tune":
            one.model.unfreeze, one.model.unfreeze_schedule, one.export = "", "", "none"
        variants.append(Variant(method, one))
    return tuple(variants)


def cut_variants(
    config: TransferConfig, *, unfreeze: Sequence[str], learning_rates: Sequence[float] = ()
) -> tuple[Variant, ...]:
    """Returns a variant for each cut and rate, with the method that the cut means."""
    variants = []
    for cut in unfreeze:
        for rate in learning_rates or (config.training.learning_rate,):
            one = from_json(to_json(config))
            choose_cut(one.model, cut)
            one.model.pooling = one.model.pooling or "average"  # cuts of one network are compared
            one.training.learning_rate, one.export = rate, "none"
            variants.append(Variant(f"{cut} at {rate:g}" if learning_rates else cut, one))
    return tuple(variants)


def compare(
    variants: Sequence[Variant],
    workdir: str | os.PathLike[str],
    *,
    seeds: int,
    folds: int = 0,
    measure_test: bool = True,
    processes: int = 1,
    optimize_graphs: bool = True,
    models: ModelCache | None = None,
) -> tuple[Row, ...]:
    """Trains every variant with each seed, every run in a directory of its own.

    Finished runs are not trained again, and no run is exported; see `export_first_runs`. Each seed has its own splits,
    initial weights and order, the same for all variants.

    Example:
      ```python
      import tl_keras
      from tl_keras.experiments.comparison import compare, cut_variants, table

      config = tl_keras.TransferConfig()
      config.data.source = "photos/"
      config.model.backbone = "teacher.keras"  # or a name, such as MobileNetV2
      config.training.epochs = config.training.head_epochs = 2
      variants = cut_variants(config, unfreeze=["none"], learning_rates=[0.001, 0.01])
      rows = compare(variants, "rates", seeds=1)
      print(table(rows, heading="unfreeze"))
      ```

    Args:
      variants: Variants to compare.
      workdir: Directory that receives the directories `NAME/seed_N`.
      seeds: Number of seeds, counted from each config's seed.
      folds: Number of folds of every run, as in `train_with_folds`, whose out-of-fold score is then its validation score; 0 for
        one run each, whose score a validation split tells.
      measure_test: Whether the test split is measured; a sweep chooses on validation first.
      processes: Number of variants trained at the same time, each in a separate process that writes its messages to
        `NAME/log.txt`. 1 means this process, one after the other, sharing networks, traced functions and features.
      optimize_graphs: Whether TensorFlow optimises the graphs, which takes longer than it saves for runs of seconds.
      models: Cache that a single process uses, for use afterwards.

    Returns:
      Rows, one per variant, in their order.

    Raises:
      ConfigError: Several processes train, or two variants have the same directory.
      TransferError: A run failed.
    """
    if read_cluster():
        raise ConfigError("compare: expected one process. Received: TF_CONFIG with several workers. Unset it.")
    _require_directories_of_their_own(variants)
    folders = [pathlib.Path(workdir) / directory_name(variant.name) for variant in variants]
    arguments = [
        _Runs(to_json(variant.config), folder, seeds, folds, measure_test, optimize_graphs)
        for variant, folder in zip(variants, folders, strict=True)
    ]
    if processes == 1:
        models = models or ModelCache()
        # The last variant trains most. It runs first, because the others start from the features computed at its cut.
        results = [_train_seeds(each, models) for each in reversed(arguments)][::-1]
    else:
        # Processes are spawned, because TensorFlow's threads do not survive a fork.
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            processes, mp_context=spawned, initializer=import_quietly, initargs=("tensorflow",)
        ) as pool:
            futures = [pool.submit(_train_seeds_logged, each) for each in reversed(arguments)]
            results = [future.result() for future in reversed(futures)]
    return tuple(
        _row(variant.name, folder, each) for variant, folder, each in zip(variants, folders, results, strict=True)
    )


def _require_directories_of_their_own(variants: Sequence[Variant]) -> None:
    """Raises a ConfigError if two variants would train in the same directory."""
    names: dict[str, str] = {}
    for variant in variants:
        folder = directory_name(variant.name)
        if folder in names:
            raise ConfigError(
                f"compare: expected variants whose directories differ. Received: {names[folder]} and {variant.name}, both in "
                f"{folder}. Leave one of them out, or write it in another way."
            )
        names[folder] = variant.name


def export_first_runs(rows: Sequence[Row], variants: Sequence[Variant]) -> None:
    """Exports the first run of each variant to those formats of its config that do not exist yet.

    Raises:
      ExportError: An export failed; the runs and the other exports stay.
    """
    for row, variant in zip(rows, variants, strict=True):
        run = RunDirectory(row.workdirs[0])
        export_finished(run, missing_exports(run, export_formats(variant.config.export)))


def best(rows: Sequence[Row]) -> Row:
    """Returns the row with the best mean validation score; of equal rows, the one that trains least."""
    return max(rows, key=lambda row: (row.validation.mean(), -row.parameters_trained))


def what_next(rows: Sequence[Row]) -> str:
    """Returns which run is best, which are exported, and the command that goes on, in two lines."""
    chosen = best(rows)
    first = RunDirectory(chosen.workdirs[0])
    exported = [row.name for row in rows if RunDirectory(row.workdirs[0]).require_result().export]
    name = in_words(chosen.results[0].score_name)
    export = f"python -m tl_keras.export --workdir={first.path} --format=saved_model"
    predict = f"python -m tl_keras.predict --model={first.path} PHOTO"
    judged = f"{measured_on(rows)} {name}"
    return (
        f"best by {judged}: {chosen.name}, {chosen.validation.mean():.4f}; exported: {', '.join(exported) or 'none'}\n"
        f"next: {predict if chosen.name in exported else export}"
    )


def directory_name(name: str) -> str:
    """Returns the name of a variant's directory."""
    return re.sub(r"[^\w.=-]+", "_", name)


@dataclasses.dataclass(frozen=True)
class _Runs:
    """The runs of one variant, in a form that another process can receive."""

    config: dict[str, Any]
    folder: pathlib.Path
    seeds: int
    folds: int
    measure_test: bool
    optimize_graphs: bool


def _train_seeds(runs: _Runs, models: ModelCache) -> list[RunResult]:
    """Trains one variant with every seed and returns the results."""
    if not runs.optimize_graphs:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    results = []
    for i in range(runs.seeds):
        one = from_json(runs.config)
        one.seed, one.export = one.seed + i, "none"
        one.training.refit = one.training.refit or "off"  # so that all methods train on the same images
        workdir = runs.folder / f"seed_{one.seed}"
        say(f"{runs.folder.name}, seed {one.seed}:")
        train = functools.partial(train_with_folds, folds=runs.folds) if runs.folds else train_and_evaluate
        results.append(train(one, workdir, models=models, measure_test=runs.measure_test))
    return results


def _train_seeds_logged(runs: _Runs) -> list[RunResult]:
    with writing(runs.folder):
        runs.folder.mkdir(parents=True, exist_ok=True)
    with (runs.folder / "log.txt").open("a", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        results = _train_seeds(runs, ModelCache())
    say(f"{runs.folder.name}: {runs.seeds} {'run' if runs.seeds == 1 else 'runs'} done")
    return results


def table(rows: Sequence[Row], *, heading: str) -> str:
    """Returns the comparison as text: scores (mean and standard deviation over seeds), seconds, parameters.

    Time budgets are shown too: the validation score that each variant had reached when the fastest one ended, a dash if
    a seed had none by then, and a star if the score was still rising at the end of the run.
    """
    score = in_words(rows[0].results[0].score_name)
    test = [row for row in rows if row.test is not None]
    budget = equal_time([result for row in rows for result in row.results])
    width = max(len(heading), *(len(row.name) for row in rows))
    columns = [f"{measured_on(rows)} {score}", *([f"test {score}"] if test else []), f"validation by {budget:.0f} s"]
    wide = max(22, *(len(name) + 2 for name in columns))
    lines = [
        f"{heading:<{width}}"
        + "".join(f"{name:>{wide}}" for name in columns)
        + f"{'seconds':>10}{'parameters trained':>20}"
    ]
    for row in rows:
        reached = [score_by(result, budget) for result in row.results]
        by_then = np.array([np.nan if score is None else score for score in reached])
        measured = [row.validation, *([row.test] if test else []), by_then]
        scores = "".join(f"{'' if values is None else _spread(values):>{wide}}" for values in measured)
        rising = "*" if any(still_rising(result) for result in row.results) else ""
        seconds = f"{np.median(row.seconds):.1f}{rising}"
        lines.append(f"{row.name:<{width}}{scores}{seconds:>10}{row.parameters_trained:>20,}")
    seeds = len(rows[0].validation)
    over_seeds = f"mean ± standard deviation over {seeds} seeds; " if seeds > 1 else ""
    lines.append(f"({over_seeds}median seconds of training a run)")
    if any(still_rising(result) for row in rows for result in row.results):
        lines.append(f"* {score} still rose in the last fifth of the run: with more --epochs it may be higher")
    return "\n".join(lines)


def measured_on(rows: Sequence[Row]) -> str:
    """Returns the word for the images that tell the rows apart: `validation`, or `out-of-fold`."""
    return "out-of-fold" if rows[0].results[0].folds else "validation"


def _spread(values: np.ndarray) -> str:
    """Returns mean and standard deviation over seeds; a dash if a seed has no value yet."""
    if np.isnan(values).any():
        return "-"
    return f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else "")


def _row(name: str, folder: pathlib.Path, results: list[RunResult]) -> Row:
    test = [result.test_score for result in results if result.test_score is not None]
    return Row(
        name=name,
        workdirs=tuple(folder / f"seed_{result.seed}" for result in results),
        validation=np.array([result.validation_score for result in results]),
        test=np.array(test) if test else None,
        seconds=np.array([result.total_seconds for result in results]),
        parameters_trained=results[0].parameters_trained,
        results=tuple(results),
    )
