"""Which view, cut, length and rate serve small sets best: `python -m benchmarks.recipe FOLDER [--teacher=…] [--variants=…]`.

Every set of `benchmarks.sets` is cut down to some 150 labelled images (`--per_class=50` takes as many of each class), drawn again
for each seed, and trained with each variant of `VARIANTS`; the draws, splits and seeds of two variants are the same, so that their
difference is paired. `guide` is the better step of Keras's own guide (benchmarks/keras_guide.py) on the same draws. FOLDER gets the
images, the runs and `results.jsonl`; what is there is not trained again. Prints the mean difference from the first variant.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA
from benchmarks.sets import LARGER_SETS, SETS, write_set

# Labelled images of a draw, of which 15% are for validation, and test images; spread over the classes.
_LABELLED, _TESTED = 150, 400

# The rate of the teacher's layers until all of them trained by default.
_FORMER: dict[str, Any] = {"training.fine_tune_learning_rate_factor": 0.01}

# A variant's options, by their names in the config; the first is what the others are compared with.
VARIANTS: dict[str, dict[str, Any]] = {
    "crop, blocks:4": {"model.resize": "original", "model.unfreeze": "blocks:4", **_FORMER},
    "squash, 0.7": {"model.unfreeze": "fraction:0.7", **_FORMER},
    "default": {},
    "no refit": {"training.refit": "off"},
    "upright": {"data.quarter_turns": "off"},
    "auto": {"model.method": "auto"},
    "crop, features": {"model.resize": "original", "model.method": "feature_extraction"},
    "squash, features": {"model.method": "feature_extraction"},
    "pad, features": {"model.resize": "pad", "model.method": "feature_extraction"},
    "squash, blocks:4": {"model.unfreeze": "blocks:4", **_FORMER},
    "squash, all": {"model.unfreeze": "all", **_FORMER},
}

GUIDE = "guide"

# Teachers by name: options that choose one.
TEACHERS: dict[str, dict[str, Any]] = {
    "small": {"model.alpha": 0.35, "model.image_size": 128},
    "mobilenet_v2": {},
    "mobilenet_v2_128": {
        "model.image_size": 128,
        "model.weights": str(
            TEST_DATA / "keras_home/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
        ),
    },
}


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of the study.

    Attributes:
      teacher: Name in `TEACHERS`.
      dataset: Name in `SETS`.
      seed: Seed of the draw and of the run.
      variant: Name in `VARIANTS`.
      per_class: Labelled images of each class; 0 for some 150 in all.
    """

    teacher: str
    dataset: str
    seed: int
    variant: str
    per_class: int = 0


def draw(name: str, seed: int, folder: pathlib.Path, *, per_class: int = 0) -> pathlib.Path:
    """Returns a folder with some labelled images of a set, drawn by the seed, and its first test images."""
    path = folder / "draws" / (f"{name}_{seed}_{per_class}" if per_class else f"{name}_{seed}")
    if path.is_dir():
        return path
    whole, unfinished = write_set(name, folder / "sets"), path.with_name(f".{path.name}")
    random = np.random.default_rng(seed)
    for split, most in (("train", _LABELLED), ("test", _TESTED)):
        classes = sorted((whole / split).iterdir())
        of_each = per_class if split == "train" and per_class else max(most // len(classes), 4)
        for images in classes:
            (unfinished / split / images.name).mkdir(parents=True, exist_ok=True)
            files = sorted(images.iterdir())
            chosen = random.permutation(len(files)) if split == "train" else np.arange(len(files))
            for position in chosen[:of_each]:
                os.link(files[position], unfinished / split / images.name / files[position].name)
    unfinished.rename(path)
    return path


def run_guide(trial: Trial, folder: pathlib.Path) -> dict[str, Any]:
    """Trains as Keras's guide does, in a process of its own, and returns its figures: the better of its two steps, all its time."""
    teacher = TEACHERS[trial.teacher]
    if "model.alpha" in teacher:
        raise SystemExit(f"guide: expected a teacher of full width. Received: {trial.teacher}.")
    command = [sys.executable, str(pathlib.Path(__file__).with_name("keras_guide.py")), "--fine_tune"]
    command += [str(draw(trial.dataset, trial.seed, folder, per_class=trial.per_class)), f"--seed={trial.seed}"]
    if "model.image_size" in teacher:
        command += [f"--image_size={teacher['model.image_size']}", f"--weights={teacher['model.weights']}"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(said.splitlines()[-1])
    steps = {"frozen": found["frozen_accuracy"], "fine-tuning": found["fine_tuned_accuracy"]}
    kept = max(steps, key=lambda step: steps[step])
    seconds = round(found["fine_tuned_seconds"], 1)
    return {**dataclasses.asdict(trial), "test": steps[kept], "kept": kept, "seconds": seconds}


def run(trial: Trial, folder: pathlib.Path, models: Any) -> dict[str, Any]:
    """Trains one trial and returns its figures."""
    import tl_keras
    from tl_keras.config.options import set_value
    from tl_keras.runs.directory import RunDirectory
    from tl_keras.runs.reasons import read_decisions

    config = tl_keras.TransferConfig(seed=trial.seed, export="none")
    config.data.source = str(draw(trial.dataset, trial.seed, folder, per_class=trial.per_class))
    config.cache.folder = str(folder / "cache")
    for path, value in {**TEACHERS[trial.teacher], **VARIANTS[trial.variant]}.items():
        set_value(config, path, value)
    workdir = folder / "run"
    shutil.rmtree(workdir, ignore_errors=True)
    if config.model.method == "auto":
        from tl_keras.advice.automatic import with_decisions

        config = with_decisions(config, workdir, models=models)
    result = tl_keras.train_and_evaluate(config, workdir, models=models)
    return {
        **dataclasses.asdict(trial),
        "test": result.test_score,
        "validation": result.validation_score,
        "kept": result.kept_phase,
        "seconds": round(result.total_seconds, 1),
        "images": result.images,
        "decided": read_decisions(RunDirectory(workdir)),
    }


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the figures of the trials that are done."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def trials(
    teacher: str, sets: Sequence[str], variants: Sequence[str], seeds: Sequence[int], per_class: int
) -> Iterator[Trial]:
    """Yields every trial, all of a set together, so that they share networks and traced functions."""
    for name in sets:
        for seed in seeds:
            for variant in variants:
                yield Trial(teacher, name, seed, variant, per_class)


def table(rows: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> str:
    """Returns the test accuracies by set, and each variant's paired difference from the first, as Markdown."""
    found = {(row["dataset"], row["seed"], row["variant"]): row["test"] for row in rows}
    sets = list(dict.fromkeys(row["dataset"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    lines = [f"| set | {' | '.join(variants)} |", f"|---|{'---|' * len(variants)}"]
    for name in sets:
        cells = []
        for variant in variants:
            values = [found[name, seed, variant] for seed in seeds if (name, seed, variant) in found]
            cells.append(f"{np.mean(values):.3f}" if values else "")
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    cells = []
    for variant in variants:
        by_set = []
        for name in sets:
            pairs = [
                found[name, seed, variant] - found[name, seed, variants[0]]
                for seed in seeds
                if (name, seed, variant) in found and (name, seed, variants[0]) in found
            ]
            by_set += [np.mean(pairs)] if pairs else []
        error = np.std(by_set, ddof=1) / np.sqrt(len(by_set)) if len(by_set) > 1 else float("nan")
        cells.append(f"{100 * np.mean(by_set):+.1f} ± {100 * error:.1f}" if by_set else "")
    lines.append(f"| mean difference in points, ± its standard error over the sets | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--teacher", choices=TEACHERS, default="small")
    parser.add_argument("--sets", nargs="+", choices=[*SETS, *LARGER_SETS], default=list(SETS))
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS, GUIDE], default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--per_class", type=int, default=0, help="labelled images of each class; 0 for some 150 in all")
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    arguments = parser.parse_args()
    path = arguments.folder / "results.jsonl"
    if not arguments.table:
        train(arguments, path)
    asked = set(_trials(arguments))
    chosen = [row for row in read(path) if _trial_of(row) in asked]
    run = {row["variant"] for row in chosen}
    print(table(chosen, [variant for variant in arguments.variants if variant in run]))


def _trials(arguments: argparse.Namespace) -> Iterator[Trial]:
    return trials(arguments.teacher, arguments.sets, arguments.variants, arguments.seeds, per_class=arguments.per_class)


def _trial_of(row: Mapping[str, Any]) -> Trial:
    return Trial(**{field.name: row[field.name] for field in dataclasses.fields(Trial) if field.name in row})


def train(arguments: argparse.Namespace, path: pathlib.Path) -> None:
    """Trains what is missing, and adds each result to the file."""
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    import keras

    from tl_keras.training.model_cache import ModelCache

    done = set(map(_trial_of, read(path)))
    last, models = "", ModelCache()
    for trial in _trials(arguments):
        if trial in done:
            continue
        if last != trial.dataset:
            keras.backend.clear_session()
            models = ModelCache()
        last = trial.dataset
        guide = trial.variant == GUIDE
        figures = run_guide(trial, arguments.folder) if guide else run(trial, arguments.folder, models)
        with path.open("a") as file:
            file.write(json.dumps(figures) + "\n")
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
