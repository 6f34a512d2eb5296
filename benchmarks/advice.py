"""Is the advice any good? Advice and full training over data sets, teachers, methods and cuts.

    KERAS_HOME=../shared/data/keras_home python -m benchmarks.advice --folder=/tmp/advice

For each set: `advise`, three times with nothing cached, then a run of every teacher and cut that it estimated. Reported are
the weighted Kendall tau of the estimated against the measured test accuracies, the regret (best measured test accuracy less
that of what was recommended), the cost of the advice against that of trying all, and estimated against measured seconds.
Test images are looked at by the trained runs alone. Killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from scipy.stats import weightedtau

from benchmarks.measuring import machine
from benchmarks.sets import TEST_DATA
from benchmarks.table import ADVICE, advice_table
from tl_keras import command_line
from tl_keras.advice.advisor import advise
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.advice.time_estimate import estimate_time
from tl_keras.config import DataConfig, TransferConfig, from_json, to_json
from tl_keras.experiments.comparison import directory_name
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.versions import versions

# What is tried with each teacher; `none` is feature_extraction.
CUTS = ("none", "blocks:2", "blocks:4")
_TEST_IMAGES = 500

# Of the advice, whose cost is told by their median.
_REPETITIONS = 3


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher to try: `backbone:weights:alpha` in words of the config."""

    backbone: str
    weights: str
    alpha: float

    @property
    def candidate(self) -> Candidate:
        """The same for `advise`."""
        return Candidate(self.backbone, self.weights, 0.0 if self.weights == "embedded" else self.alpha)


TEACHERS = (
    Teacher("MobileNetV2", "imagenet", 1.0),
    Teacher("MobileNet", "imagenet", 0.25),
    Teacher("MobileNetV2", "embedded", 0.35),
)


def mnist(folder: pathlib.Path) -> DataConfig:
    """MNIST: 1,000 images to train and validate, 500 to test."""
    path = folder / "mnist.npz"
    with np.load(TEST_DATA / "mnist.npz") as arrays:
        few = {name: array[: 1000 if name.endswith("train") else _TEST_IMAGES] for name, array in arrays.items()}
    np.savez(path, **few)
    return DataConfig(source=f"npz:{path}", horizontal_flip="off")


def cifar10(folder: pathlib.Path) -> DataConfig:
    """CIFAR-10: 2,000 images to train and validate, 500 to test."""
    path = folder / "cifar10.npz"
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    arrays = {}
    for split, count in (("train", 2000), ("test", _TEST_IMAGES)):
        records = tf.data.TFRecordDataset(str(TEST_DATA / "cifar10" / f"{split}.tfrecord")).take(count)
        examples = [tf.io.parse_single_example(record, features) for record in records]
        arrays[f"x_{split}"] = np.stack([tf.io.decode_jpeg(example["image"]).numpy() for example in examples])
        arrays[f"y_{split}"] = np.array([int(example["label"]) for example in examples])
    np.savez(path, **arrays)
    return DataConfig(source=f"npz:{path}")


def flowers5(folder: pathlib.Path) -> DataConfig:
    """Photos of five flowers, 400 to train and validate, 150 to test."""
    return DataConfig(source=str(TEST_DATA / "flowers5"))


def digits(folder: pathlib.Path) -> DataConfig:
    """scikit-learn's digits: 20 scans of 8 pixels per class to train, half of all to test."""
    return DataConfig(
        source="digits",
        train_examples_per_class=20,
        validation_fraction=0.1,
        test_fraction=0.5,
        horizontal_flip="off",
    )


SETS = {make.__name__: make for make in (digits, flowers5, mnist, cifar10)}


def configs(data: DataConfig, folder: pathlib.Path) -> Iterator[tuple[Teacher, str, TransferConfig]]:
    """Yields (teacher, cut, config) of every run on a set; the deepest training first, whose cached features serve the others."""
    for teacher in TEACHERS:
        for cut in reversed(CUTS):
            config = TransferConfig(data=dataclasses.replace(data, augmentation="none"), export="none")
            config.model.backbone, config.model.weights, config.model.alpha = dataclasses.astuple(teacher)
            config.model.method = "feature_extraction" if cut == "none" else "fine_tune"
            config.model.unfreeze = "" if cut == "none" else cut
            config.cache.folder = str(folder / "cache")
            yield teacher, cut, from_json(to_json(config))


def train_all(name: str, data: DataConfig, folder: pathlib.Path) -> list[dict]:
    """Trains every teacher and cut on a set and returns a row a run."""
    rows = []
    models = ModelCache()
    for teacher, cut, config in configs(data, folder):
        workdir = folder / name / directory_name(f"{teacher.backbone}_{teacher.weights}_{cut}")
        seconds_file = workdir / "wall_seconds.json"
        if not seconds_file.exists():  # a run killed in the middle cannot be timed
            shutil.rmtree(workdir, ignore_errors=True)
        began = time.perf_counter()
        result = train_and_evaluate(config, workdir, models=models)
        if not result.resumed:
            seconds_file.write_text(json.dumps(time.perf_counter() - began))
        rows.append(
            {
                **dataclasses.asdict(teacher),
                "unfreeze": cut,
                "test_accuracy": result.test_accuracy,
                "validation_accuracy": result.validation_accuracy,
                "wall_seconds": json.loads(seconds_file.read_text()),
            }
        )
        print(name, rows[-1], file=sys.stderr, flush=True)
    return rows


def advise_on(name: str, data: DataConfig, folder: pathlib.Path) -> dict:
    """Returns the advice on a set, from caches of its own, and how long what it recommends takes in truth."""
    file = folder / name / "advice.json"
    if file.exists():
        return json.loads(file.read_text())
    config = TransferConfig(data=dataclasses.replace(data), export="none")
    took = []
    for repetition in range(_REPETITIONS):
        config.cache.folder = str(folder / name / f"advice_cache_{repetition}")
        shutil.rmtree(config.cache.folder, ignore_errors=True)
        advice = advise(config, [teacher.candidate for teacher in TEACHERS], measure_time=False)
        recommended = advice.recommendation.config
        recommended.data.augmentation = "none"  # as in the runs that it is compared with
        estimate = estimate_time(recommended, draw_sample(recommended, ModelCache()))
        took.append({"looking": advice.seconds, "rehearsal": estimate.rehearsal_seconds})
    began = time.perf_counter()
    train_and_evaluate(recommended, folder / name / "recommended")
    measured = {"wall_seconds": time.perf_counter() - began}
    values = {
        "advice": advice.to_json(),
        "took": took,
        "estimated": dataclasses.asdict(estimate),
        "measured": measured,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values, indent=1))
    return values


def compare(rows: list[dict], advised: dict) -> dict:
    """Returns how well the advice on a set agrees with the results of all runs.

    Returns:
      `tau`, of the expected against the measured test accuracies, weighted so that the best count most; the same for a few
      scores alone; `regret`, in points; `cost`, of the advice with its rehearsal, the median, against all runs; `seconds_ratio`,
      estimated over measured, of the recommended run; `within`, the part of test accuracies within their intervals.
    """
    advice = advised["advice"]
    teachers = {_name(row): row["test_accuracy"] for row in rows}
    options = [option for option in advice["options"] if _key(option) in teachers]
    measured = [teachers[_key(option)] for option in options]
    recommended = advice["recommended"]["teacher"], advice["recommended"]["unfreeze"]
    frozen = [(t["teacher"], t["depths"][-1]) for t in advice["teachers"]]
    scores = {
        score: float(weightedtau([d[score] for _, d in frozen], [teachers[(t, "none")] for t, _ in frozen]).statistic)
        for score in ("probe_accuracy", "neighbours", "log_me", "h_score")
    }
    return {
        "tau": float(weightedtau([option["accuracy"] for option in options], measured).statistic),
        "tau_of_teachers": scores,
        "regret": 100 * (max(teachers.values()) - teachers[recommended]),
        "recommended": recommended,
        "cost": float(np.median([sum(each.values()) for each in advised["took"]]))
        / sum(row["wall_seconds"] for row in rows),
        "seconds_ratio": advised["estimated"]["seconds"] / advised["measured"]["wall_seconds"],
        "within": float(
            np.mean([a["interval"][0] <= m <= a["interval"][1] for a, m in zip(options, measured, strict=True)])
        ),
    }


def _key(option: dict) -> tuple[str, str]:
    return option["teacher"], option["unfreeze"]


def _name(row: dict) -> tuple[str, str]:
    return Teacher(row["backbone"], row["weights"], row["alpha"]).candidate.name, row["unfreeze"]


def main() -> None:
    """Runs what is asked for, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="gets data, caches and runs")
    parser.add_argument("--out", type=pathlib.Path, default=ADVICE, help="the JSON file")
    parser.add_argument("--sets", default=",".join(SETS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    document: dict = {"machine": machine(), "versions": versions(), "sets": {}}
    for name in arguments.sets.split(","):
        data = SETS[name](arguments.folder)
        advised = advise_on(name, data, arguments.folder)
        rows = train_all(name, data, arguments.folder)
        found = compare(rows, advised)
        document["sets"][name] = {"runs": rows, **advised, **found}
        arguments.out.write_text(json.dumps(document, indent=1))
        print(advice_table(document["sets"]), flush=True)


if __name__ == "__main__":
    command_line.require_tensorflow()
    main()
