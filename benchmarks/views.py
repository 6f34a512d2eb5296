"""Which view of an image serves a frozen teacher best, and can the training images tell: `python -m benchmarks.views FOLDER`.

For each set of `benchmarks.sets`, ten draws of 100 to 200 training images: test accuracy of a linear classifier on MobileNetV2's
features of the teacher's own crop, of the whole image squashed, and of the whole image padded; and of the view that the
out-of-fold accuracies of the draw choose (`tl_keras.probes.alternatives`), in doubt the squashed one.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA
from benchmarks.sets import SETS, write_set

# Options of the teacher by which each column differs from the defaults, by the column's name; in doubt the first is taken.
Ways = Mapping[str, Mapping[str, Any]]
VIEWS: Ways = {view: {"resize": view} for view in ("squash", "original", "pad")}
_DRAWS, _IMAGES = 10, 150
# Images of a set whose features are computed, spread over its classes.
_MOST = {"train": 300, "test": 250}
_CLEARLY = (0.0, 1.0, 1.5, 2.0)


def features(name: str, folder: pathlib.Path, ways: Ways = VIEWS) -> dict[str, np.ndarray]:
    """Returns the features of a set in each way, such as each view, and its labels and splits, kept in a file."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        from tl_keras.advice.candidates import Candidate
        from tl_keras.advice.teacher_scores import pooled_features
        from tl_keras.config import TransferConfig
        from tl_keras.data.inspection import inspect_source
        from tl_keras.data.sources import open_source

        source = open_source(str(write_set(name, folder / "sets")))
        inspection = inspect_source(source)
        used = np.sort(np.concatenate([_some(source.labels, source.declared_splits, split) for split in _MOST]))
        found = {"labels": source.labels[used], "splits": source.declared_splits[used]}
        config = TransferConfig()
        config.cache.folder = str(folder / "cache")
        usual = config.model
        for way, options in ways.items():
            config.model = dataclasses.replace(usual, **options)
            found[way] = pooled_features(Candidate("MobileNetV2"), config, source, inspection, used)
        np.savez(path, **found)
    with np.load(path) as arrays:
        return dict(arrays)


def _some(labels: np.ndarray, splits: np.ndarray, split: str) -> np.ndarray:
    classes = np.unique(labels)
    each = -(-_MOST[split] // len(classes))
    random = np.random.default_rng(0)
    members = [random.permutation(np.flatnonzero((labels == label) & (splits == split))) for label in classes]
    return np.concatenate([some[:each] for some in members])


def accuracy(shown: np.ndarray, labels: np.ndarray, asked: np.ndarray, right: np.ndarray) -> float:
    """Returns the test accuracy of a linear classifier of the probe's strength."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean = shown.mean(axis=0)
    scale = np.sqrt(((shown - mean) ** 2).sum(axis=1).mean())
    with threadpool_limits(1):
        classifier = LogisticRegression(C=10.0, max_iter=200, tol=1e-3).fit((shown - mean) / scale, labels)
        return float((classifier.predict((asked - mean) / scale) == right).mean())


def images_of_draw(labels: np.ndarray, train: np.ndarray, draw: int) -> list[np.ndarray]:
    """Returns the images of a draw, about 150 in all, for each class int64 (k,), in random order.

    Args:
      labels: int64 (n,).
      train: int64 (m,), the images to draw from.
      draw: Number of the draw, its seed.
    """
    random, classes = np.random.default_rng(draw), np.unique(labels)
    each = max(_IMAGES // len(classes), 4)
    return [random.permutation(train[labels[train] == label])[:each] for label in classes]


def measure(name: str, folder: pathlib.Path, ways: Ways, *, among: Collection[str]) -> dict[str, list[float]]:
    """Returns the test accuracies of each way, and of each rule that chooses among some, over the draws of a set."""
    from tl_keras.probes.alternatives import Alternative, choose
    from tl_keras.probes.transferability import linear_probe

    found = features(name, folder, ways)
    labels, train = found["labels"], np.flatnonzero(found["splits"] == "train")
    test = np.flatnonzero(found["splits"] == "test")
    figures: dict[str, list[float]] = {}
    for draw in range(_DRAWS):
        drawn = np.concatenate(images_of_draw(labels, train, draw))
        scores = {way: accuracy(found[way][drawn], labels[drawn], found[way][test], labels[test]) for way in ways}
        alternatives = [
            Alternative(
                way,
                linear_probe(
                    found[way][drawn],
                    labels[drawn],
                    classes=int(labels.max()) + 1,
                    groups=np.arange(len(drawn)),
                    seed=draw,
                ),
            )
            for way in ways
            if way in among
        ]
        chosen = {f"auto at {clearly:g}": choose(alternatives, clearly=clearly).name for clearly in _CLEARLY}
        for column, value in {**scores, **{rule: scores[way] for rule, way in chosen.items()}}.items():
            figures.setdefault(column, []).append(value)
    return figures


def folder_and_sets(description: str | None) -> argparse.Namespace:
    """Returns the arguments `folder`, which is made, and `sets`, and gets ready to compute features."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    arguments = parser.parse_args()
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return arguments


def compare(description: str | None, ways: Ways, *, against: str, among: Collection[str]) -> None:
    """Prints a row a set, and the mean difference of each column from one of them.

    Args:
      description: Text of `--help`.
      ways: The ways to compare.
      against: Name of the way from which the differences are.
      among: Names that a rule chooses from.
    """
    arguments = folder_and_sets(description)
    gains: dict[str, list[float]] = {}
    for name in arguments.sets:
        figures = measure(name, arguments.folder, ways, among=among)
        if not gains:
            print(f"| set | {' | '.join(figures)} |\n|---|{'---|' * len(figures)}", flush=True)
        print(
            f"| {name.replace('_', ' ')} | {' | '.join(f'{np.mean(each):.3f}' for each in figures.values())} |",
            flush=True,
        )
        for column, values in figures.items():
            gains.setdefault(column, []).append(float(np.mean(values) - np.mean(figures[against])))
    cells = [
        f"{100 * np.mean(each):+.1f} ± {100 * np.std(each, ddof=1) / np.sqrt(len(each)):.1f}" for each in gains.values()
    ]
    print(f"| points against {against}, ± standard error over the sets | {' | '.join(cells)} |")


if __name__ == "__main__":
    compare(__doc__, VIEWS, against="original", among=VIEWS)
