"""Fixtures of the advice: a config with a cache of its own, and a copy of the flowers with faults planted in it."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.data_report import DataReport, inspect_closely
from tl_keras.config import TransferConfig, quick_start
from tl_keras.data.sources import open_source
from tl_keras.training.loop import train_and_evaluate


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> TransferConfig:
    """The quick start's config, with a cache of its own: what other tests have computed is not in it."""
    config = quick_start()
    config.cache.folder = str(tmp_path_factory.mktemp("features"))
    return config


@dataclasses.dataclass(frozen=True)
class Faults:
    """The ids of what was planted."""

    folder: pathlib.Path
    copies: list[set[str]]
    swapped: set[str]
    truncated: set[str]
    renamed: set[str]
    small_class: set[str]


@pytest.fixture(scope="session")
def faults(shared_data, tmp_path_factory) -> Faults:
    """20 copies across splits, 15 swapped labels, 5 truncated files, 3 PNGs named .jpg, and a class cut to 4 images."""
    folder = tmp_path_factory.mktemp("planted") / "flowers"
    shutil.copytree(shared_data / "flowers5", folder, copy_function=shutil.copyfile)
    classes = sorted(path.name for path in (folder / "train").iterdir())
    *whole, cut = classes
    for split in ("train", "test"):
        for path in sorted((folder / split / cut).iterdir())[4 if split == "train" else 0 :]:
            path.unlink()
    small = {f"train/{cut}/{path.name}" for path in (folder / "train" / cut).iterdir()}
    random = np.random.default_rng(0)
    photos = [path for name in whole for path in sorted((folder / "train" / name).iterdir())]
    chosen = [photos[i] for i in random.permutation(len(photos))[:43]]
    copies = []
    for number, path in enumerate(chosen[:20]):
        copy = folder / "test" / path.parent.name / f"again{number}.jpg"
        if number < 10:
            shutil.copyfile(path, copy)
        else:
            with Image.open(path) as image:
                image.resize((image.width // 2, image.height // 2)).save(copy, quality=70)
        copies.append({str(path.relative_to(folder)), str(copy.relative_to(folder))})
    swapped = set()
    for path in chosen[20:35]:
        other = random.choice([name for name in whole if name != path.parent.name])
        moved = path.rename(folder / "train" / other / f"moved_{path.name}")
        swapped.add(str(moved.relative_to(folder)))
    for path in chosen[35:40]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for path in chosen[40:43]:
        with Image.open(path) as image:
            image.save(path, format="PNG")
    truncated, renamed = ({str(p.relative_to(folder)) for p in part} for part in (chosen[35:40], chosen[40:43]))
    return Faults(folder, copies, swapped, truncated, renamed, small)


@pytest.fixture(scope="session")
def report(faults) -> DataReport:
    """What is found, with the real MobileNetV2."""
    return inspect_closely(open_source(str(faults.folder)), Candidate("MobileNetV2"), TransferConfig())


@dataclasses.dataclass(frozen=True)
class Painted:
    """Images without labels, and the run of a small teacher on those that a person has sorted.

    Attributes:
      folder: Folder with `red` and `blue`, twelve images each, one file that is no image.
    """

    folder: pathlib.Path
    teacher: pathlib.Path
    run: pathlib.Path
    config: TransferConfig


@pytest.fixture(scope="session")
def painted(small_teacher, tmp_path_factory) -> Painted:
    """A run by feature extraction of two epochs."""
    folder = tmp_path_factory.mktemp("painted") / "photos"
    for name, mean in (("red", (200, 40, 30)), ("blue", (30, 60, 210))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng([*name.encode(), number]).normal(mean, 40, (24, 30, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name / f"{number:02}.png")
    config = TransferConfig(export="none")
    config.data.source, config.training.epochs = str(folder), 2
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.cache.folder = str(tmp_path_factory.mktemp("cache"))
    run = tmp_path_factory.mktemp("run") / "run"
    train_and_evaluate(copy.deepcopy(config), run)
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return Painted(folder, small_teacher, run, config)
