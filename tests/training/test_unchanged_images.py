"""Tests of tl_keras.training.unchanged_images, with real runs on a few files."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config import quick_start
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import WorkdirError
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


def a_config(source, teacher):
    config = quick_start()
    config.data.source, config.export = source, "none"
    config.model.backbone, config.model.weights = str(teacher), "imagenet"
    config.model.method, config.training.epochs = "feature_extraction", 2
    return config


def train(teacher, *, models=None):
    """Trains in `run` on the folder `photos`, both in the working directory."""
    return train_and_evaluate(a_config("photos", teacher), "run", models=models)


@pytest.fixture(scope="module")
def models():
    return ModelCache()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_teacher, models):
    """A folder with 48 small pictures of two classes in `photos`, and a run that has finished on them in `run`."""
    folder = tmp_path_factory.mktemp("finished")
    random = np.random.default_rng(0)
    for number in range(48):
        pixels = random.integers(0, 100, (16, 16, 3)) + 150 * (number % 2)
        write(folder / "photos" / ("dark", "light")[number % 2] / f"{number}.png", pixels)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        train(small_teacher, models=models)
    return folder


@pytest.fixture
def photos(trained, tmp_path, monkeypatch):
    """The folder `photos` beside the finished run, both copied into the working directory, to be changed."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.uint8(pixels)).numpy())


def declare_splits(photos):
    for name in ("dark", "light"):
        shutil.copytree(photos / name, photos / "test" / name)
        shutil.move(photos / name, photos / "train" / name)


CHANGES = {
    "another picture": lambda photos: write(photos / "dark" / "0.png", np.zeros((16, 16, 3))),
    "a picture more": lambda photos: write(photos / "dark" / "new.png", np.zeros((16, 16, 3))),
    "a picture less": lambda photos: (photos / "dark" / "0.png").unlink(),
    "a picture in another class": lambda photos: (photos / "dark" / "0.png").rename(photos / "light" / "0.png"),
    "a class of another name": lambda photos: (photos / "dark").rename(photos / "black"),
    "a class less": lambda photos: shutil.rmtree(photos / "dark"),
    "no class": lambda photos: [shutil.rmtree(photos / name) for name in ("dark", "light")],
    "splits": declare_splits,
}


OFTEN = ("another picture", "a picture in another class", "no class")


@pytest.mark.parametrize(
    "change", [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.slow) for name in CHANGES]
)
def test_a_finished_run_refuses_images_that_changed(photos, small_teacher, change):
    CHANGES[change](photos)
    with pytest.raises(WorkdirError, match="the images have changed since the run in") as raised:
        train(small_teacher)
    assert raised.value.exit_status == 2
    assert "\n" not in str(raised.value)


SAME = {
    "another name": lambda photos: (photos / "dark" / "0.png").rename(photos / "dark" / "zero.png"),
    "another date": lambda photos: os.utime(photos / "dark" / "0.png", (0, 0)),
}


@pytest.mark.parametrize("change", SAME)
def test_it_is_finished_with_the_same_images_under_another_name_or_date(photos, small_teacher, change, capfd):
    SAME[change](photos)
    assert train(small_teacher).resumed
    said = capfd.readouterr().err
    assert "checking whether they changed" in said
    assert "nothing is left to do" in said
    assert train(small_teacher).resumed
    assert "checking whether they changed" not in capfd.readouterr().err


def test_images_as_they_were_are_not_looked_at_again(trained, small_teacher, monkeypatch, capfd):
    monkeypatch.chdir(trained)
    assert train(small_teacher).resumed
    said = capfd.readouterr().err
    assert "looking" not in said
    assert "nothing is left to do" in said


def test_a_finished_run_whose_images_are_gone_is_finished_and_says_so(photos, small_teacher, capfd):
    shutil.rmtree(photos)
    assert train(small_teacher).resumed
    said = capfd.readouterr().err
    assert "the images of this run cannot be checked" in said
    assert "nothing is left to do" in said


def test_arrays_are_compared_by_their_pixels(tmp_path, small_teacher, models):
    config = a_config("arrays", small_teacher)
    pixels = np.random.default_rng(1).integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)
    labels = np.arange(40) % 2
    train_and_evaluate(config, tmp_path / "run", source=ArraySource(pixels, labels), models=models)
    assert train_and_evaluate(config, tmp_path / "run", source=ArraySource(pixels, labels), models=models).resumed
    pixels[3] = 255 - pixels[3]
    with pytest.raises(WorkdirError, match="the images have changed"):
        train_and_evaluate(config, tmp_path / "run", source=ArraySource(pixels, labels), models=models)
