"""Held-out likelihood before and after calibration: `python -m benchmarks.calibration FOLDER [SET ...]`.

Each set of `benchmarks.sets`, and two flowers alone, is trained by feature extraction with three seeds, with the real
MobileNetV2 and nothing else given. The first table has the negative log-likelihood of test images by the temperature that the
run fitted to its validation images. The second fits temperatures to 5, 28, 100 and 500 test images of seed 0, drawn at random a
hundred times, and measures on the rest. FOLDER gets the sets and the runs; what is finished there is not trained again.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

import numpy as np
from scipy.special import softmax

from benchmarks.measuring import TEST_DATA
from benchmarks.sets import SETS, write_set
from tl_keras.evaluation.calibration import fit_temperature, mean_log_loss

_SEEDS = (0, 1, 2)
_SIZES = (5, 28, 100, 500)
_DRAWS = 100
_PAIR = "two_flowers"
_MOST = 0.6  # of the test images, to fit to; the rest measures


def main(folder: pathlib.Path, names: list[str]) -> None:
    """Trains and prints both tables."""
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    own = ["| set | validation images | temperature | NLL before | after |", "|---|---|---|---|---|"]
    drawn = [f"| set | {' | '.join(f'{size} images' for size in _SIZES)} |", f"|---|{'---|' * len(_SIZES)}"]
    for name in names or [*SETS, _PAIR]:
        runs = [_run(name, folder, seed) for seed in _SEEDS]
        before, after = (
            np.mean([mean_log_loss(softmax(z / t, axis=-1), y) for z, y, t in each])
            for each in ([(z, y, 1.0) for z, y, *_ in runs], [(z, y, t) for z, y, t, _ in runs])
        )
        temperatures = ", ".join(f"{temperature:.2f}" for _, _, temperature, _ in runs)
        images = ", ".join(str(images) for *_, images in runs)
        own.append(f"| {name.replace('_', ' ')} | {images} | {temperatures} | {before:.4f} | {after:.4f} |")
        changes = [change_by_size(runs[0][0], runs[0][1], size) for size in _SIZES]
        cells = ("" if change is None else f"{change:+.4f}" for change in changes)
        drawn.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
        print(own[-1], drawn[-1], sep="\n", file=sys.stderr, flush=True)
    print("\n".join([*own, "", *drawn]))


def change_by_size(logits: np.ndarray, labels: np.ndarray, size: int) -> float | None:
    """Returns the mean change of the negative log-likelihood by temperatures fitted to so many images, measured on the others.

    Args:
      logits: float64 (n, classes).
      labels: int64 (n,).
      size: Images to fit to.

    Returns:
      The change in nats, below 0 where calibration helps; None where too few images would be left.
    """
    if size > _MOST * len(labels):
        return None
    random, changes = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        order = random.permutation(len(labels))
        fitted, rest = order[:size], order[size:]
        temperature = fit_temperature(logits[fitted], labels[fitted])
        before, after = (mean_log_loss(softmax(logits[rest] / t, axis=-1), labels[rest]) for t in (1.0, temperature))
        changes.append(after - before)
    return float(np.mean(changes))


def _run(name: str, folder: pathlib.Path, seed: int) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Returns the test logits, float64 (n, classes), the labels, int64 (n,), the temperature, and the validation images."""
    import tl_keras
    from tl_keras.data.pipeline import evaluation_order
    from tl_keras.experiments.measure import open_run
    from tl_keras.reporting.finished_run import read_run

    config = tl_keras.TransferConfig(seed=seed, export="none")
    config.data.source, config.model.method = str(_set(name, folder)), "feature_extraction"
    config.cache.folder = str(folder / "cache")
    workdir = folder / f"{name}_{seed}"
    result = tl_keras.train_and_evaluate(config, workdir)
    _, source, splits = open_run(workdir)
    labels = source.labels[evaluation_order(source, splits.test)]
    logits = read_run(workdir).logits().astype(np.float64)
    return logits, labels, result.calibration["temperature"], result.images["validation"]


def _set(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes a set unless it is there, and returns its folder."""
    if name != _PAIR:
        return write_set(name, folder)
    path, flowers = folder / _PAIR, write_set("flowers", folder)
    if not path.is_dir():
        unfinished = path.with_name(f".{_PAIR}")
        for split in ("train", "test"):
            for label in ("daisy", "sunflower"):
                shutil.copytree(flowers / split / label, unfinished / split / label)
        unfinished.rename(path)
    return path


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
