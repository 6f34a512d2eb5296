"""Which map of a frozen teacher tells several labels, or numbers, best, and can the training images tell?

    python -m benchmarks.small_things FOLDER [--sets NAME ...] [--image_size=224]

Real sets: defects on printed boards (batches of boards held out), blood cells that are counted. Made ones: pairs of large photos,
and small pictures or digits that lie about on a large image. For each set and way, MobileNetV2's features of about 300 images: the
score on the test images of a linear model (ten draws of training images; of boards, each draw tests another batch), and that of the
way which the out-of-fold scores of the training images choose, in doubt the usual one. FOLDER keeps images and features.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring import TEST_DATA

# Options by which a way differs from the usual one, which comes first.
WAYS: dict[str, dict[str, Any]] = {
    "32 px": {"pooling": "average"},
    "8 px": {"output_stride": 8, "pooling": "average"},
    "8 px, max": {"output_stride": 8, "pooling": "max"},
}
USUAL = "32 px"
_DRAWS, _CLEARLY = 10, (0.0, 0.5, 1.0, 1.5, 2.0)

# A picture, what is in it as a table's cells have it, and its group.
Example = tuple[Image.Image, tuple[str, ...], str]


@dataclasses.dataclass(frozen=True)
class Set:
    """A set, by its task and the columns of its labels."""

    task: str
    columns: tuple[str, ...]
    examples: Callable[[], Iterator[Example]]


def boards() -> Iterator[Example]:
    """Printed boards with up to six kinds of defect, by batch."""
    with (TEST_DATA / "deep_pcb" / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            yield Image.open(TEST_DATA / "deep_pcb" / row["path"]).convert("RGB"), (row["labels"],), row["group"]


def cells() -> Iterator[Example]:
    """Micrographs with the number of red cells."""
    with (TEST_DATA / "blood_cells" / "counts.csv").open() as file:
        for row in csv.DictReader(file):
            yield Image.open(TEST_DATA / "blood_cells" / row["path"]).convert("RGB"), (row["red_cells"],), ""


def kinds_of_cells() -> Iterator[Example]:
    """Micrographs with what is on them beside red cells: white cells, platelets, many red cells."""
    with (TEST_DATA / "blood_cells" / "counts.csv").open() as file:
        for row in csv.DictReader(file):
            kinds = [name for name in ("white_cells", "platelets") if int(row[name])] + ["many"] * (
                int(row["red_cells"]) > 12
            )
            yield Image.open(TEST_DATA / "blood_cells" / row["path"]).convert("RGB"), (";".join(kinds),), ""


def pairs() -> Iterator[Example]:
    """Two photos of flowers side by side, each half of the image: large things."""
    random, paths = np.random.default_rng(0), sorted((TEST_DATA / "flowers5").glob("*/*/*.jpg"))
    for _ in range(300):
        image, found = Image.new("RGB", (640, 480)), set()
        for place in range(2):
            path = paths[random.integers(len(paths))]
            image.paste(Image.open(path).convert("RGB").resize((320, 480)), (320 * place, 0))
            found.add(path.parts[-2])
        yield image, (";".join(sorted(found)),), ""


def _background(random: np.random.Generator, photos: list[pathlib.Path]) -> Image.Image:
    photo = Image.open(photos[random.integers(len(photos))]).convert("RGB")
    return photo.resize((12, 9)).resize((640, 480))


def small_objects() -> Iterator[Example]:
    """One to four of CIFAR-10's pictures, 64 pixels wide, on a blurred photo of 640 by 480."""
    from benchmarks.sets import objects

    random, photos = np.random.default_rng(1), sorted((TEST_DATA / "imagenet_samples").glob("*.JPEG"))
    pictures = [(name, image) for split, name, image in objects() if split == "train"]
    for _ in range(300):
        image, found = _background(random, photos), set()
        for _ in range(random.integers(1, 5)):
            name, picture = pictures[random.integers(len(pictures))]
            image.paste(picture.resize((64, 64)), (int(random.integers(576)), int(random.integers(416))))
            found.add(name)
        yield image, (";".join(sorted(found)),), ""


def small_digits() -> Iterator[Example]:
    """One to five handwritten digits, 28 pixels wide, on a blurred photo of 640 by 480."""
    random, photos = np.random.default_rng(2), sorted((TEST_DATA / "imagenet_samples").glob("*.JPEG"))
    with np.load(TEST_DATA / "mnist.npz") as arrays:
        images, labels = arrays["x_train"][:5000], arrays["y_train"][:5000]
    for _ in range(300):
        image, found = _background(random, photos), set()
        for _ in range(random.integers(1, 6)):
            position = int(random.integers(len(images)))
            ink = Image.fromarray(images[position])
            image.paste((255, 255, 255), (int(random.integers(612)), int(random.integers(452))), ink)
            found.add(str(labels[position]))
        yield image, (";".join(sorted(found)),), ""


SETS = {
    "boards": Set("multi_label", ("labels",), boards),
    "kinds_of_cells": Set("multi_label", ("labels",), kinds_of_cells),
    "pairs": Set("multi_label", ("labels",), pairs),
    "small_objects": Set("multi_label", ("labels",), small_objects),
    "small_digits": Set("multi_label", ("labels",), small_digits),
    "cells": Set("regression", ("red_cells",), cells),
}


def write_table(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes a set as FOLDER/NAME/table.csv with its images, unless it is there, and returns the table's path."""
    table = folder / name / "table.csv"
    if not table.is_file():
        table.parent.mkdir(parents=True, exist_ok=True)
        rows = [("path", *SETS[name].columns, "group")]
        for position, (image, labels, group) in enumerate(SETS[name].examples()):
            image.save(table.parent / f"{position:04}.png")
            rows.append((f"{position:04}.png", *labels, group or str(position)))
        with table.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return table


def features(name: str, folder: pathlib.Path, image_size: int) -> dict[str, np.ndarray]:
    """Returns the features of a set in each way, and its labels and groups, kept in a file."""
    path = folder / f"{name}_{image_size}.npz"
    if not path.is_file():
        from tl_keras.advice.candidates import Candidate
        from tl_keras.advice.teacher_scores import pooled_features
        from tl_keras.config import TransferConfig
        from tl_keras.data.inspection import inspect_source
        from tl_keras.data.options import SourceOptions
        from tl_keras.data.sources import open_source

        one = SETS[name]
        columns = f"label={'+'.join(one.columns)},group=group"
        source = open_source(f"csv:{write_table(name, folder / 'sets')}", SourceOptions(columns=columns, task=one.task))
        inspection = inspect_source(source)
        names = source.groups.names if source.groups else np.arange(len(source.labels))
        found = {"labels": source.labels, "groups": np.unique(names, return_inverse=True)[1]}
        config = TransferConfig(task=one.task)
        config.cache.folder = str(folder / "cache")
        usual = config.model
        for way, options in WAYS.items():
            config.model = dataclasses.replace(usual, image_size=image_size, **options)
            found[way] = pooled_features(
                Candidate("MobileNetV2"), config, source, inspection, np.arange(len(source.labels))
            )
        np.savez(path, **found)
    with np.load(path) as arrays:
        return dict(arrays)


def _draws(name: str, groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields training and test images of each draw: half of the images, of boards all but one or two batches."""
    if name == "boards":
        sizes = np.bincount(groups)
        large = [group for group in range(len(sizes)) if sizes[group] > 20]
        for held in large:
            yield np.flatnonzero(groups != held), np.flatnonzero(groups == held)
        return
    for draw in range(_DRAWS):
        order = np.random.default_rng(draw).permutation(len(groups))
        yield np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])


def score(task: Any, shown: np.ndarray, labels: np.ndarray, asked: np.ndarray, right: np.ndarray) -> float:
    """Returns the test score of linear models of the probe's strength."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from threadpoolctl import threadpool_limits

    mean = shown.mean(axis=0)
    scale = np.sqrt(((shown - mean) ** 2).sum(axis=1).mean())
    shown, asked = (shown - mean) / scale, (asked - mean) / scale
    with threadpool_limits(1):
        if task.label_kind == "numbers":
            answers = RidgeCV(np.logspace(-4, 2, 13)).fit(shown, labels).predict(asked).reshape(right.shape)
        else:
            answers = np.empty(right.shape)
            for label in range(right.shape[1]):
                column = labels[:, label]
                answers[:, label] = column.mean()
                if len(np.unique(column)) == 2:
                    known = LogisticRegression(C=10.0, max_iter=200, tol=1e-3).fit(shown, column)
                    answers[:, label] = known.predict_proba(asked)[:, 1]
    return float(task.score(task.logits_of(answers), right))


def measure(name: str, folder: pathlib.Path, image_size: int) -> dict[str, list[float]]:
    """Returns the test scores of each way, and of each rule that chooses among them, over the draws of a set."""
    from tl_keras.probes.alternatives import Alternative, choose
    from tl_keras.probes.task_probe import probe
    from tl_keras.tasks.base import task_named

    found, figures = features(name, folder, image_size), dict[str, list[float]]()
    labels, groups = found["labels"], found["groups"]
    classes = labels.shape[1]
    for draw, (train, test) in enumerate(_draws(name, groups)):
        task = task_named(SETS[name].task).with_labels(labels[train])
        scores = {way: score(task, found[way][train], labels[train], found[way][test], labels[test]) for way in WAYS}
        alternatives = [
            Alternative(
                way, probe(task, found[way][train], labels[train], classes=classes, groups=groups[train], seed=draw)
            )
            for way in WAYS
        ]
        for way, value in scores.items():
            figures.setdefault(way, []).append(value)
        for clearly in _CLEARLY:
            figures.setdefault(f"auto at {clearly:g}", []).append(scores[choose(alternatives, clearly=clearly).name])
    return figures


def main() -> None:
    """Prints a row a set, and the mean gain of each column over the usual way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--image_size", type=int, default=224)
    arguments = parser.parse_args()
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    gains: dict[str, list[float]] = {}
    for name in arguments.sets:
        figures = measure(name, arguments.folder, arguments.image_size)
        if not gains:
            print(f"| set | {' | '.join(figures)} |\n|---|{'---|' * len(figures)}", flush=True)
        print(
            f"| {name.replace('_', ' ')} | {' | '.join(f'{np.mean(each):.3f}' for each in figures.values())} |",
            flush=True,
        )
        for column, values in figures.items():
            gains.setdefault(column, []).append(float(np.mean(values) - np.mean(figures[USUAL])))
    cells_of_gains = [f"{100 * np.mean(each):+.1f}" for each in gains.values()]
    print(f"| points against {USUAL} | {' | '.join(cells_of_gains)} |")


if __name__ == "__main__":
    main()
