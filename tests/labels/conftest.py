"""Fixtures of the labels: a folder of coloured images, a run on some of them, and others without labels."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import tl_keras as tl
from tl_keras.config import TransferConfig

COLOURS = {"blue": (30, 60, 210), "green": (40, 190, 60), "red": (200, 40, 30)}


def photo(name: str, number: int) -> Image.Image:
    """A noisy square of a colour, on which a smaller one of any colour lies."""
    random = np.random.default_rng([*name.encode(), number])
    pixels = random.normal(COLOURS[name], 45, (40, 40, 3))
    x, y = random.integers(0, 25, 2)
    pixels[x : x + 15, y : y + 15] = random.uniform(0, 255, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@dataclasses.dataclass(frozen=True)
class Labelling:
    """A run on labelled images, and a folder of others: 30 new ones, a copy of a labelled one, and two copies of each other."""

    run: pathlib.Path
    config: TransferConfig
    unlabelled: pathlib.Path
    labelled: pathlib.Path


@pytest.fixture(scope="session")
def labelling(tmp_path_factory, small_teacher) -> Labelling:
    folder = tmp_path_factory.mktemp("labels")
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.cache.folder = 4, str(folder / "cache")
    unlabelled = folder / "unlabelled"
    (unlabelled / "deep").mkdir(parents=True)
    for name in COLOURS:
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            photo(name, number).save(folder / "photos" / name / f"{number:02}.png")
        for number in range(12, 22):
            photo(name, number).save(unlabelled / "deep" / f"{name}_{number}.png")
    shutil.copyfile(folder / "photos" / "red" / "03.png", unlabelled / "known.png")
    shutil.copyfile(unlabelled / "deep" / "blue_14.png", unlabelled / "again.png")
    config.data.source = str(folder / "photos")
    tl.train_and_evaluate(config, folder / "run")
    config.data.source = str(unlabelled)
    return Labelling(folder / "run", config, unlabelled, folder / "photos")
