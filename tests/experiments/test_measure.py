"""Tests of tl_keras.experiments.measure and the evaluate command's table; what they measure, tests/training/test_loop.py trains."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tl_keras.config import TransferConfig, quick_start, to_json
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import Reading, inspect_source
from tl_keras.data.splits import split_source
from tl_keras.errors import DataError
from tl_keras.experiments.measure import _trained_on, as_text, evaluate_model, open_run
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.loop import train_and_evaluate


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes, ten different images each."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def begin(path, photos, *, with_hashes=True):
    source = FolderSource(str(photos))
    inspection = inspect_source(source)
    splits = split_source(source, inspection, validation_fraction=0.2, test_fraction=0.2, seed=0)
    written = splits.to_json(source, inspection if with_hashes else None)
    RunDirectory(path).begin(
        config=to_json(quick_start()), data_hash=inspection.data_hash, splits=written, labels=source.class_names
    )
    return source, inspection, splits


@pytest.mark.parametrize(("model", "with_hashes"), [(".", True), ("model.keras", False), ("saved_model/1", True)])
def test_images_of_the_runs_training_are_counted(photos, tmp_path, model, with_hashes):
    source, inspection, splits = begin(tmp_path / "run", photos, with_hashes=with_hashes)
    found = {
        name: _trained_on(tmp_path / "run" / model, source, inspection, getattr(splits, name))
        for name in ("train", "validation", "test")
    }
    assert found == {"train": len(splits.train), "validation": 0, "test": 0}


def test_images_are_known_by_content_whatever_their_names(photos, tmp_path):
    _, _, splits = begin(tmp_path / "run", photos)
    for file in list(photos.rglob("*.png")):
        shutil.move(file, file.with_name(f"new_{file.name}"))
    renamed = FolderSource(str(photos))
    assert _trained_on(tmp_path / "run", renamed, inspect_source(renamed), np.arange(20)) == len(splits.train)


def test_a_class_that_is_added_later_moves_no_label(photos, tmp_path):
    begin(tmp_path / "run", photos)
    (photos / "ant").mkdir()
    shutil.copy(photos / "cat" / "0.png", photos / "ant" / "0.png")
    _, source, splits = open_run(tmp_path / "run", source=FolderSource(str(photos)))
    assert source.class_names == ("cat", "dog")
    assert [source.class_names[source.labels[index]] for index in splits.train] == [
        source.ids[index].split("/")[0] for index in splits.train
    ]


def test_an_image_of_the_run_under_a_class_that_it_lacks_is_named(photos, tmp_path):
    begin(tmp_path / "run", photos)
    source = FolderSource(str(photos))
    source.class_names, source.labels = ("ant", "cat", "dog"), source.labels + 1
    source.labels[3] = 0
    with pytest.raises(DataError, match=r"classes of the run \(cat, dog\).*Received: cat/3.png of ant"):
        open_run(tmp_path / "run", source=source)


def test_a_model_without_its_run_says_nothing(photos, tmp_path):
    source = FolderSource(str(photos))
    assert _trained_on(tmp_path / "model.keras", source, inspect_source(source), np.arange(20)) is None


def test_too_large_is_not_cannot_be_decoded(photos):
    Image.new("RGB", (20, 20)).save(photos / "cat" / "large.png")
    (photos / "dog" / "damaged.png").write_bytes(b"no image")
    inspection = inspect_source(FolderSource(str(photos)), Reading(max_pixels=100))
    metrics = {
        "accuracy": 1.0,
        "examples": 20,
        "split": "all",
        "noun": "image",
        "classes": [],
        "left_out": inspection.left_out(),
    }
    assert as_text(
        {**metrics, "classes": [{"class": "cat", "precision": 1.0, "recall": None, "examples": 20}]}
    ).splitlines()[1:3] == [
        "1 image cannot be decoded and is left out: dog/damaged.png",
        "1 image is too large, over 100 pixels (--max_pixels), and is left out: cat/large.png",
    ]


@pytest.mark.long
def test_a_split_without_an_image_that_can_be_decoded_is_one_line(photos, small_teacher, tmp_path):
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.data.source, config.training.epochs, config.cache.folder = str(photos), 1, str(tmp_path / "cache")
    train_and_evaluate(config, tmp_path / "run")
    shutil.copytree(photos, tmp_path / "split" / "train")
    (tmp_path / "split" / "train" / "cat" / "unread.png").write_bytes(b"no image")
    for name in ("cat", "dog"):
        (tmp_path / "split" / "test" / name).mkdir(parents=True)
        (tmp_path / "split" / "test" / name / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError) as raised:
        evaluate_model(tmp_path / "run", str(tmp_path / "split"))
    said = "Received: 2 images cannot be decoded and are left out: test/cat/0.png, test/dog/0.png. Replace them"
    assert said in str(raised.value)
    assert "expected images of split test that can be used" in str(raised.value)
