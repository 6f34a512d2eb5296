"""Tests of tl_keras.training.orientation, with a real teacher on images with and without an upright."""

import dataclasses

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import read_decisions
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.orientation import decide_orientation
from tl_keras.training.preparation import decide, prepare, read_images


def coloured_noise(*, sky=0):
    """Two classes of 60 noisy images, reddish and greenish, whose upper half is brighter by `sky`."""
    random, labels = np.random.default_rng(0), np.arange(120) % 2
    images = random.integers(0, 120, (120, 32, 32, 3), np.uint8)
    images[np.arange(120), :, :, labels] += 60
    images[:, :16] += np.uint8(sky)
    return ArraySource(images, labels)


@pytest.fixture
def a_run(small_teacher):
    """Returns a function from a source and options of the images to a resolved config and the images."""

    def make(source, **data):
        config = TransferConfig(export="none")
        config.model.backbone, config.model.unfreeze = str(small_teacher), "blocks:1"
        config.data = dataclasses.replace(config.data, **data)
        config = decide(config, source=source)
        return config, read_images(config, ModelCache(), source=source)

    return make


def test_images_without_an_upright_are_mirrored_and_turned(a_run):
    data, reasons = decide_orientation(*a_run(coloured_noise()), ModelCache())
    assert (data.horizontal_flip, data.quarter_turns) == ("on", "on")
    assert [reason.partition(" in training")[0] for reason in reasons] == ["mirrored", "turned by quarters"]


def test_images_with_an_upright_are_not_turned(a_run):
    data, reasons = decide_orientation(*a_run(coloured_noise(sky=60)), ModelCache())
    assert (data.horizontal_flip, data.quarter_turns) == ("on", "off")
    assert [reason.partition(" in training")[0] for reason in reasons] == ["mirrored", "not turned"]


def test_the_teacher_tells_whether_grey_grains_may_be_mirrored(a_run):
    random, labels = np.random.default_rng(0), np.arange(120) % 2
    grains = (
        random.normal(0, 1, (120, 64, 64, 1)) * np.where(labels, 60, 15)[:, None, None, None]
    )  # of equal thumbnails
    source = ArraySource(np.repeat((128 + grains).clip(0, 255).astype(np.uint8), 3, axis=-1), labels)
    data, reasons = decide_orientation(*a_run(source), ModelCache())
    assert data.horizontal_flip == "on"
    assert reasons[0].startswith("mirrored in training: a linear classifier of the teacher's features is right on ")


def test_weights_that_replicate_does_without_are_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    config = TransferConfig(export="none")
    config.model.method, config.data.augmentation = "replicate", "light"
    source = ArraySource(np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), np.uint8), np.arange(60) % 2)
    config = decide(config, source=source)
    data, (reason,) = decide_orientation(config, read_images(config, ModelCache(), source=source), ModelCache())
    assert data.horizontal_flip == "on"
    assert reason.startswith("colour images are mirrored in training: thumbnails cannot tell")


def test_what_is_chosen_is_not_measured(a_run):
    config, images = a_run(coloured_noise(), horizontal_flip="off", quarter_turns="off")
    images = dataclasses.replace(images, source=None)
    assert decide_orientation(config, images, ModelCache()) == (config.data, [])


def test_one_measurement_serves_the_runs_of_a_cache(a_run, monkeypatch):
    (config, images), models = a_run(coloured_noise()), ModelCache()
    first = decide_orientation(config, images, models)
    unreadable = dataclasses.replace(images, source=None)
    assert decide_orientation(config, unreadable, models) == first
    other = dataclasses.replace(config, seed=1)
    with pytest.raises(AttributeError):
        decide_orientation(other, unreadable, models)


def test_a_run_is_prepared_with_the_decision(a_run):
    source = coloured_noise()
    config, _ = a_run(source)
    prepared = prepare(config, ModelCache(), source=source)
    assert prepared.config.data.quarter_turns == "on"
    assert any(reason.startswith("turned by quarters in training") for reason in prepared.reasons)


@pytest.mark.slow
def test_the_reasons_stay_with_the_run_and_are_on_its_page(a_run, tmp_path):
    source = coloured_noise()
    config, _ = a_run(source)
    config.training.epochs = config.training.head_epochs = 1
    train_and_evaluate(config, tmp_path / "run", source=source)
    reasons = read_decisions(RunDirectory(tmp_path / "run"))
    assert [reason.partition(" in training")[0] for reason in reasons] == ["mirrored", "turned by quarters"]
    page = write_report(tmp_path / "run", source=source).read_text()
    assert all(reason.partition(": ")[0] in page for reason in reasons)


@pytest.mark.parametrize(("name", "value"), [("output_stride", 8), ("pooling", "max")])
def test_other_features_of_the_teacher_are_asked_again(a_run, monkeypatch, name, value):
    asked = []
    monkeypatch.setattr(
        "tl_keras.training.orientation._measured", lambda config, images: asked.append(config) or ("on", "off", [])
    )
    (config, images), models = a_run(coloured_noise()), ModelCache()
    for _ in range(2):
        decide_orientation(config, images, models)
    assert len(asked) == 1
    setattr(config.model, name, value)
    decide_orientation(config, images, models)
    assert len(asked) == 2
