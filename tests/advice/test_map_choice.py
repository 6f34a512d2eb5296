"""Tests of tl_keras.advice.map_choice: small things are told by a finer map, and what the last map tells stays with it."""

import copy
import json

import keras
import numpy as np
import pytest

from tl_keras.advice.advisor import advise
from tl_keras.advice.automatic import with_decisions
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.map_choice import best_map, measure_maps
from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.backbones.teacher_files import EXAMPLE
from tl_keras.config import TransferConfig, from_json, resolve
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache

TEACHER = Candidate("MobileNetV2", "embedded")


def small_things(number: int) -> np.ndarray:
    """A grey image with a few spots of two pixels, and more of them the higher the number, uint8 (64, 64, 3)."""
    random = np.random.default_rng(number)
    image = np.full((64, 64, 3), 128, np.uint8)
    for y, x in random.integers(0, 62, (2 + 12 * (number % 2), 2)):
        image[y : y + 2, x : x + 2] = 255
    return image


@pytest.fixture(scope="module")
def spots(tmp_path_factory):
    """A config of images with few or many spots; what a test computes of them, the next one finds in the cache."""
    folder = tmp_path_factory.mktemp("spots")
    labels = np.arange(80) % 2
    np.savez(folder / "images.npz", x_train=np.stack([small_things(n) for n in range(80)]), y_train=labels)
    config = TransferConfig(export="none")
    config.data.source, config.cache.folder = f"npz:{folder}/images.npz", str(folder / "cache")
    config.model.weights, config.model.image_size = "embedded", 64
    config.model.resize = "squash"  # else views are measured too
    return config


@pytest.fixture
def counted(spots):
    """The config, to be changed."""
    return copy.deepcopy(spots)


@pytest.mark.slow
def test_small_things_are_told_by_a_finer_map(counted):
    sample = draw_sample(resolve(counted), ModelCache())
    strides, measured = measure_maps(TEACHER, counted, sample)
    assert strides == (0, 16, 8)
    scores = {stride: each.probe.score for stride, each in zip(strides, measured, strict=True)}
    assert scores[8] > scores[0] + 0.1
    changes, (reason,) = best_map(TEACHER, counted, sample, ModelCache())
    assert changes == {"output_stride": 8}
    assert reason.startswith("the map of 8 pixels: a linear model gets, out of fold, the last map 0.")


@pytest.mark.long
def test_what_the_last_map_tells_stays_with_it(counted, tmp_path):
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    bright = (random.integers(0, 100, (60, 32, 32, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=bright, y_train=labels)
    counted.data.source = f"npz:{tmp_path}/images.npz"
    sample = draw_sample(resolve(counted), ModelCache())
    assert best_map(TEACHER, counted, sample, ModelCache()) == ({"output_stride": 0}, [])


@pytest.mark.slow
def test_the_advice_names_the_map_and_one_that_is_chosen_is_not_measured(counted):
    advice = advise(counted, [TEACHER], measure_time=False)
    assert advice.recommendation.config.model.output_stride == 8
    assert "--config.model.output_stride=8" in advice.recommendation.command
    assert any(reason.startswith("the map of 8 pixels: ") for reason in advice.recommendation.measured)
    counted.model.output_stride = 16
    advice = advise(counted, [TEACHER], measure_time=False)
    assert advice.recommendation.config.model.output_stride == 16
    assert not any("map of" in reason for reason in advice.recommendation.measured)


@pytest.mark.slow
def test_a_run_is_trained_with_the_map_that_was_found_and_goes_on_with_it(counted, tmp_path):
    counted.model.method = "auto"
    decided = with_decisions(counted, tmp_path / "run")
    decided.training.epochs = decided.training.head_epochs = 1
    train_and_evaluate(decided, tmp_path / "run")
    begun = from_json(RunDirectory(tmp_path / "run").read_config()["config"])
    assert begun.model.output_stride == 8
    again = with_decisions(counted, tmp_path / "run")
    assert again.model.output_stride == 8


def test_a_teacher_without_finer_maps_is_not_measured(counted, tmp_path):
    images = keras.Input((64, 64, 3))
    whole = keras.layers.Conv2D(4, 64, name="whole")(images)
    keras.Model(images, whole).save(tmp_path / "teacher.keras")
    beside = tmp_path / "teacher.preprocess.json"
    beside.write_text(json.dumps({**EXAMPLE.to_json(), "image_size": 64}))
    sample = draw_sample(resolve(counted), ModelCache())
    assert measure_maps(Candidate(str(tmp_path / "teacher.keras")), counted, sample) == ((0,), ())
