"""Features of large image sets, computed once and kept in a file, from which benchmarks draw thousands of small sets.

The teacher is MobileNetV2 of width 0.35 at 128 pixels: small enough to see 40,000 images in minutes; or the default of train.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA

# Source of each set, and the number of its images that are drawn from, and that are measured on.
SETS = {
    "mnist": (f"npz:{TEST_DATA / 'mnist.npz'}", 8_000, 8_000),
    "cifar10": (f"tfrecord:{TEST_DATA / 'cifar10'}/*.tfrecord", 12_000, 4_000),
}

# The same of what train's default teacher, MobileNetV2 at 224 pixels, is asked for; it takes ten times as long.
DEFAULT_TEACHER_SETS = {
    "flowers5": (str(TEST_DATA / "flowers5"), 400, 150),
    "mnist": (SETS["mnist"][0], 3_000, 2_000),
    "cifar10": (SETS["cifar10"][0], 3_000, 2_000),
}


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """The features of a set.

    Attributes:
      drawn: Features of the images to draw from, float32 (n, d).
      drawn_labels: int64 (n,).
      test: Features of the test images, float32 (m, d).
      test_labels: int64 (m,).
    """

    drawn: np.ndarray
    drawn_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    def draw(self, seed: int, *, of_each_class: int = 0, images: int = 0) -> np.ndarray:
        """Returns positions of images: so many of each class, or so many of any, int64."""
        order = np.random.default_rng(seed).permutation(len(self.drawn_labels))
        if images:
            return order[:images]
        labels = self.drawn_labels[order]
        return np.concatenate([order[labels == label][:of_each_class] for label in np.unique(labels)])


def read_arguments(description: str, *, parts: tuple[str, ...]) -> argparse.Namespace:
    """Reads the flags of a study that draws from the default teacher's features ten times.

    Args:
      description: Text of `--help`.
      parts: Names of the study's parts, of which `--part` chooses one.

    Returns:
      `folder` of the features, `sets` by their names, number of `draws`, `parts` to run, and the file `json` or None.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sets", default=list(DEFAULT_TEACHER_SETS), type=lambda names: names.split(","))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--part", choices=parts)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.parts = (arguments.part,) if arguments.part else parts
    return arguments


def write_results(arguments: argparse.Namespace, results: dict[str, Any]) -> None:
    """Writes what a study found, if `--json` names a file for it."""
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def feature_set(name: str, folder: pathlib.Path, *, default_teacher: bool = False) -> FeatureSet:
    """Returns the features of a set, from FOLDER if they are there."""
    path = folder / f"{name}{'_of_default' if default_teacher else ''}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **dataclasses.asdict(_computed(name, folder, default_teacher=default_teacher)))
    with np.load(path) as arrays:
        return FeatureSet(**arrays)


def _computed(name: str, folder: pathlib.Path, *, default_teacher: bool) -> FeatureSet:
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    from tl_keras.advice.candidates import Candidate
    from tl_keras.advice.teacher_scores import pooled_features
    from tl_keras.config import TransferConfig
    from tl_keras.data.inspection import inspect_source
    from tl_keras.data.sources import open_source

    place, drawn, measured = (DEFAULT_TEACHER_SETS if default_teacher else SETS)[name]
    source = open_source(place)
    inspection = inspect_source(source)
    config = TransferConfig()
    config.cache.folder, config.model.image_size = str(folder / "cache"), 0 if default_teacher else 128
    random, found = np.random.default_rng(0), {}
    for split, number, key in (("train", drawn, "drawn"), ("test", measured, "test")):
        indices = np.sort(random.permutation(np.flatnonzero(source.declared_splits == split))[:number])
        teacher = Candidate("MobileNetV2", alpha=0.0 if default_teacher else 0.35)
        found[key] = pooled_features(teacher, config, source, inspection, indices)
        found[f"{key}_labels"] = source.labels[indices]
    return FeatureSet(**found)
