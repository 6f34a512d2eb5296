"""Finds the best cut by trying several on validation alone; the test split is measured once, at the end."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tl_keras.config import TransferConfig, export_formats
from tl_keras.console import in_words
from tl_keras.experiments.comparison import Row, best, compare, cut_variants, measured_on, table
from tl_keras.experiments.soup import make_soup
from tl_keras.files import replacing
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import SoupResult
from tl_keras.serving.export import export_finished, newest_version
from tl_keras.serving.formats import require_converters
from tl_keras.training.loaded_run import load_run
from tl_keras.training.model_cache import ModelCache


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The findings of a sweep.

    Attributes:
      rows: Rows, one per cut and rate, in the requested order; without test scores.
      chosen: Row with the best mean validation score; of equal rows, the one that trains least. Its test scores are
        measured if there is a test split, and its first run is exported.
      soup: Result of `make_soup` on the first seed's runs; None if no average of them is better on validation, or
        the runs are by folds.
    """

    rows: tuple[Row, ...]
    chosen: Row
    soup: SoupResult | None = None


def sweep(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    unfreeze: Sequence[str],
    seeds: int = 1,
    folds: int = 0,
    learning_rates: Sequence[float] = (),
) -> Sweep:
    """Trains a run for each cut, rate and seed; writes `sweep.json`, `sweep.txt` and `sweep.png` beside them.

    The runs share networks, traced functions and the features of frozen layers. One of them, the first run of the chosen row,
    is exported. A sweep that was killed continues where it stopped.

    Example:
      ```python
      import tl_keras
      from tl_keras.experiments.sweep import describe, sweep

      config = tl_keras.TransferConfig()
      config.data.source = "photos/"
      config.model.backbone = "teacher.keras"  # or a name, such as MobileNetV2
      config.training.epochs = config.training.head_epochs = 2
      config.export = "none"  # or the formats for the chosen run
      print(describe(sweep(config, "sweep1", unfreeze=["none", "blocks:1"])))
      ```

    Args:
      config: Config that the runs share; the chosen run is exported to its `export`.
      workdir: Directory that receives the directories `CUT/seed_N`.
      unfreeze: Cuts in the `unfreeze` language, from the least to the most trained; `none` trains the head alone.
      seeds: Number of seeds, counted from the config's seed.
      folds: Number of folds of every run, as in `compare`; 0 for a validation split.
      learning_rates: Peak rates for random weights; empty for the config's.

    Raises:
      TransferError: A run cannot be trained, or the chosen run cannot be exported.
    """
    path, formats = pathlib.Path(workdir), export_formats(config.export)
    require_converters(formats)
    variants = cut_variants(config, unfreeze=unfreeze, learning_rates=learning_rates)
    models = ModelCache()
    rows = compare(variants, path, seeds=seeds, folds=folds, measure_test=False, models=models)
    chosen = best(rows)
    first = chosen.workdirs[0]
    if (RunDirectory(first).read_splits() or {}).get("test"):
        again = (load_run(each, models) for each in chosen.workdirs)
        test = np.array([run.score(run.prepared.splits.test, task=run.answering) for run in again])
        chosen = dataclasses.replace(chosen, test=test)
    # The runs of folds hold no image back, by which an average of them could be judged.
    soup = None if folds else make_soup([row.workdirs[0] for row in rows], path / "soup", models=models)
    found = Sweep(rows, chosen, soup)
    for name, text in (("sweep.json", _as_json(found)), ("sweep.txt", describe(found))):
        with replacing(path / name) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")
    _plot(found, path / "sweep.png")
    # Last, so that a model that cannot be exported leaves the table.
    export_finished(first, [name for name in formats if not newest_version(first / name)])
    return found


def describe(found: Sweep) -> str:
    """Returns the table, and the choice in a sentence."""
    chosen = found.chosen
    judged = f"{measured_on(found.rows)} {in_words(chosen.results[0].score_name)}"
    test = "" if chosen.test is None else f"; on the test images, measured only now: {chosen.test.mean():.3f}"
    soup = ""
    if found.soup:
        soup = (
            f"\nthe average of {len(found.soup.of)} of the first seed's runs is better on validation, "
            f"{found.soup.validation_score:.3f}: {found.soup.workdir}"
        )
    return (
        f"{table(found.rows, heading='unfreeze')}\n"
        f"chosen by {judged}: {chosen.name} ({chosen.validation.mean():.3f}){test}\n"
        f"its first run: {chosen.workdirs[0]}{soup}"
    )


def _as_json(found: Sweep) -> str:
    score = found.chosen.results[0].score_name
    rows = [
        {
            "unfreeze": row.name,
            f"validation_{score}": row.validation.tolist(),
            "seconds": row.seconds.tolist(),
            "parameters_trained": row.parameters_trained,
            "workdirs": [str(workdir) for workdir in row.workdirs],
        }
        for row in found.rows
    ]
    test = None if found.chosen.test is None else found.chosen.test.tolist()
    soup = found.soup and found.soup.to_json()
    return json.dumps({"rows": rows, "chosen": found.chosen.name, f"test_{score}": test, "soup": soup}, indent=1)


def _plot(found: Sweep, path: pathlib.Path) -> None:
    """Draws validation score, seconds and parameters by cut."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    names = [row.name for row in found.rows]
    means = [row.validation.mean() for row in found.rows]
    spreads = [row.validation.std(ddof=1) if len(row.validation) > 1 else 0.0 for row in found.rows]
    axes[0].errorbar(names, means, yerr=spreads, marker="o", capsize=4)
    axes[0].plot([found.chosen.name], [found.chosen.validation.mean()], marker="o", markersize=14, fillstyle="none")
    axes[0].set_ylabel(f"{measured_on(found.rows)} {in_words(found.chosen.results[0].score_name)}")
    axes[1].bar(names, [float(np.median(row.seconds)) for row in found.rows])
    axes[1].set_ylabel("seconds")
    axes[2].bar(names, [row.parameters_trained for row in found.rows])
    axes[2].set(ylabel="parameters\ntrained", yscale="log", xlabel="unfreeze")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
