"""Tests of tl_keras.training.map_decision: small things in images of several labels, or counted, are looked at finely."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig, from_json
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.map_decision import decide_map
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, read_images


def with_spots(number: int) -> np.ndarray:
    """A grey image with a few spots of two pixels, and more of them if the number is odd, uint8 (64, 64, 3)."""
    random = np.random.default_rng(number)
    image = np.full((64, 64, 3), 128, np.uint8)
    for y, x in random.integers(0, 62, (2 + 12 * (number % 2), 2)):
        image[y : y + 2, x : x + 2] = 255
    return image


@pytest.fixture
def spotted(tmp_path):
    """A config of 80 images, of which every second is spotted, and some are of another label too."""

    def configured(task="multi_label", images=80):
        numbers = np.arange(images)
        labels = np.stack([numbers % 2, numbers // 2 % 2], axis=1)
        pixels = np.stack([with_spots(number) for number in numbers])
        pixels[labels[:, 1] == 1, :, :, 2] //= 2  # yellowish: told by any map
        labels = {"multi_label": labels, "regression": 2.0 + 12 * (numbers % 2), "single_label": numbers % 2}[task]
        np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels)
        config = TransferConfig(task=task, export="none")
        config.data.source, config.cache.folder = f"npz:{tmp_path}/images.npz", str(tmp_path / "cache")
        config.model.weights = "embedded"
        return config

    return configured


def decided(config):
    config, models = decide(config), ModelCache()
    return decide_map(config, read_images(config, models), models)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_small_things_are_looked_at_finely(spotted, task):
    model, (reason,) = decided(spotted(task))
    assert model.output_stride == 8
    assert model.pooling in ("average", "max")
    assert ": a linear model gets, out of fold, a score (" in reason
    assert "the last map 0." in reason


@pytest.mark.slow
def test_what_any_map_tells_stays_with_the_last_one(spotted):
    config = spotted()
    with np.load(config.data.source.removeprefix("npz:")) as arrays:
        pixels, labels = arrays["x_train"], arrays["y_train"]
    pixels[:] = np.where(labels[:, :1, None, None] == 1, 200, 60)
    pixels[labels[:, 1] == 1, :48] = 128
    np.savez(config.data.source.removeprefix("npz:"), x_train=pixels, y_train=labels)
    model, (reason,) = decided(config)
    assert (model.output_stride, model.pooling) == (0, "average")
    assert reason.startswith("the last map: ")


@pytest.mark.parametrize(
    "chosen", [{"unfreeze": "blocks:2"}, {"output_stride": 16}, {"pooling": "average"}, {"weights": "none"}]
)
def test_what_is_chosen_is_not_measured_nor_what_random_weights_cannot_tell(spotted, chosen):
    config = spotted()
    for name, value in chosen.items():
        setattr(config.model, name, value)
    model, reasons = decided(config)
    assert reasons == []
    assert (model.output_stride, model.pooling) == (chosen.get("output_stride", 0), "average")


def test_one_class_is_not_measured(spotted):
    model, reasons = decided(spotted(task="single_label"))
    assert (model.output_stride, model.pooling, reasons) == (0, "average", [])


def test_few_images_are_not_measured_and_it_says_so(spotted):
    model, reasons = decided(spotted(images=40))
    assert (model.output_stride, model.pooling) == (0, "average")
    assert reasons == ["the last map: no finer one was measured; that takes 60 training images, and there are 33"]


def test_without_room_for_features_the_last_map_stays_and_it_says_so(spotted):
    config = spotted()
    config.cache.limit_gib = 1e-6
    model, (reason,) = decided(config)
    assert (model.output_stride, model.pooling) == (0, "average")
    assert reason.startswith("the last map: no other was measured (cache: expected room")


@pytest.mark.slow
def test_a_run_goes_on_with_what_it_has_found(spotted, tmp_path):
    config = spotted("regression")
    config.model.method = "feature_extraction"
    config.training.epochs = 1
    train_and_evaluate(config, tmp_path / "run")
    begun = from_json(RunDirectory(tmp_path / "run").read_config()["config"])
    assert begun.model.output_stride == 8
    assert begun.model.pooling in ("average", "max")
    again = decide(config, run=RunDirectory(tmp_path / "run"))
    assert (again.model.output_stride, again.model.pooling) == (8, begun.model.pooling)
