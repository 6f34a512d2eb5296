"""Features of large image sets, computed once and kept in a file, from which benchmarks draw thousands of small sets.

The teacher is MobileNetV2 of width 0.35 at 128 pixels: small enough to see 40,000 images in minutes.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from benchmarks.measuring import TEST_DATA

# Source of each set, and the number of its images that are drawn from, and that are measured on.
SETS = {
    "mnist": (f"npz:{TEST_DATA / 'mnist.npz'}", 8_000, 8_000),
    "cifar10": (f"tfrecord:{TEST_DATA / 'cifar10'}/*.tfrecord", 12_000, 4_000),
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


def feature_set(name: str, folder: pathlib.Path) -> FeatureSet:
    """Returns the features of a set, from FOLDER/NAME.npz if they are there."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **dataclasses.asdict(_computed(name, folder)))
    with np.load(path) as arrays:
        return FeatureSet(**arrays)


def _computed(name: str, folder: pathlib.Path) -> FeatureSet:
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    from tl_keras.advice.candidates import Candidate
    from tl_keras.advice.teacher_scores import pooled_features
    from tl_keras.config import TransferConfig
    from tl_keras.data.inspection import inspect_source
    from tl_keras.data.sources import open_source

    place, drawn, measured = SETS[name]
    source = open_source(place)
    inspection = inspect_source(source)
    config = TransferConfig()
    config.cache.folder, config.model.image_size = str(folder / "cache"), 128
    random, found = np.random.default_rng(0), {}
    for split, number, key in (("train", drawn, "drawn"), ("test", measured, "test")):
        indices = np.sort(random.permutation(np.flatnonzero(source.declared_splits == split))[:number])
        teacher = Candidate("MobileNetV2", alpha=0.35)
        found[key] = pooled_features(teacher, config, source, inspection, indices)
        found[f"{key}_labels"] = source.labels[indices]
    return FeatureSet(**found)
