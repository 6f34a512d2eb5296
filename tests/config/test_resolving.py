"""Tests of tl_keras.config.resolving."""

import pathlib

import numpy as np
import pytest

from tl_keras import config
from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig


def a_config(**changes) -> TransferConfig:
    """Returns a valid config, with parts replaced."""
    return TransferConfig(**{"data": DataConfig(source="digits"), **changes})


@pytest.mark.parametrize(
    ("method", "unfreeze", "learning_rate", "augmentation"),
    [
        ("replicate", "all", 3e-3, "none"),
        ("feature_extraction", "none", 1e-2, "none"),
        ("fine_tune", "all", 1e-2, "light"),
    ],
)
def test_resolve_fills_in_what_the_method_decides(method, unfreeze, learning_rate, augmentation):
    resolved = config.resolve(a_config(model=ModelConfig(method=method)))
    assert resolved.model.unfreeze == unfreeze
    assert resolved.training.learning_rate == learning_rate
    assert resolved.data.augmentation == augmentation


@pytest.mark.parametrize("flip", [False, "False"])  # from Python, and as --config.data.horizontal_flip=False sets it
def test_a_flip_that_is_set_as_before_is_read(flip):
    chosen = a_config()
    chosen.data.horizontal_flip = flip
    assert config.resolve(chosen).data.horizontal_flip == "off"


def test_without_augmentation_nothing_is_mirrored():
    chosen = a_config(model=ModelConfig(method="feature_extraction"))
    assert config.resolve(chosen).data.horizontal_flip == "off"


@pytest.mark.parametrize(("method", "quarter_turns"), [("fine_tune", "auto"), ("feature_extraction", "off")])
def test_images_are_turned_where_they_are_varied_and_a_trained_network_judges(method, quarter_turns):
    assert config.resolve(a_config(model=ModelConfig(method=method))).data.quarter_turns == quarter_turns
    chosen = a_config(model=ModelConfig(method="replicate"))
    chosen.data.augmentation = "light"
    assert config.resolve(chosen).data.quarter_turns == "off"


@pytest.mark.parametrize(
    ("changes", "area"),
    [
        ({}, 0.5),
        ({"task": "multi_label"}, 1.0),
        ({"task": "regression"}, 1.0),
        ({"task": "ordinal"}, 0.5),
        ({"task": "regression", "data": DataConfig(source="digits", augmentation="none")}, 0.0),
        ({"model": ModelConfig(pooling="max")}, 1.0),
        ({"data": DataConfig(source="digits", augmentation="strong")}, 0.25),
        ({"task": "multi_label", "data": DataConfig(source="digits", min_crop_area=0.7)}, 0.7),
    ],
)
def test_the_whole_image_is_shown_where_a_part_may_lack_what_counts(changes, area):
    assert config.resolve(a_config(**changes)).data.min_crop_area == area


def test_resolve_keeps_what_the_user_chose_and_leaves_the_original_alone():
    chosen = a_config(training=TrainingConfig(learning_rate=0.5))
    assert config.resolve(chosen).training.learning_rate == 0.5
    assert chosen.model.unfreeze == ""


@pytest.mark.parametrize(
    ("method", "epochs", "refit"),
    [("fine_tune", 0, "auto"), ("feature_extraction", 0, "auto"), ("fine_tune", 7, "off"), ("replicate", 0, "off")],
)
def test_few_validation_images_train_in_the_end_where_the_epochs_are_left_open(method, epochs, refit):
    chosen = a_config(model=ModelConfig(method=method), training=TrainingConfig(epochs=epochs))
    assert config.resolve(chosen).training.refit == refit


def test_resolve_twice_is_resolve_once():
    resolved = config.resolve(a_config())
    assert config.resolve(resolved) == resolved


@pytest.mark.parametrize(("images", "epochs"), [(43, 250), (345, 46), (100_000, 10)])
def test_left_open_epochs_make_at_least_so_many_steps_and_ten_epochs(images, epochs):
    assert config.epochs_for(images, global_batch_size=32, steps=500) == epochs


def test_numbers_of_numpy_and_paths_are_taken_and_become_plain():
    chosen = TransferConfig(
        data=DataConfig(source=pathlib.Path("photos")),
        training=TrainingConfig(epochs=np.int64(3), learning_rate=np.float32(0.5)),
    )
    resolved = config.resolve(chosen)
    assert (resolved.data.source, resolved.training.epochs, resolved.training.learning_rate) == ("photos", 3, 0.5)
    assert type(resolved.training.epochs) is int


def test_numbers_have_a_slower_head_and_the_same_rate_below_it():
    numbers = a_config(task="regression")
    training = config.resolve(numbers).training
    assert (training.learning_rate, training.fine_tune_learning_rate_factor) == (1e-3, 0.1)
    numbers.training.learning_rate = 0.01
    training = config.resolve(numbers).training
    assert (training.learning_rate, training.fine_tune_learning_rate_factor) == (0.01, 0.01)


def test_with_a_teacher_run_the_last_phase_is_three_times_as_long():
    labels, taught = a_config(), a_config()
    taught.distillation.teacher_run = "big/"
    alone, distilled = (config.with_epochs(config.resolve(each), images=100).training for each in (labels, taught))
    assert (distilled.epochs, distilled.head_epochs) == (3 * alone.epochs, alone.head_epochs)
    taught.training.epochs = 7
    assert config.with_epochs(config.resolve(taught), images=100).training.epochs == 7
