"""Tests of tl_keras.config."""

import copy
import dataclasses
import pathlib
import pickle
import shlex

import numpy as np
import pytest

from tl_keras import config
from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig
from tl_keras.errors import BackboneError, ConfigError, TransferError


def a_config(**changes) -> TransferConfig:
    """Returns a valid config, with parts replaced."""
    return TransferConfig(**{"data": DataConfig(source="digits"), **changes})


def test_json_there_and_back():
    chosen = a_config(seed=3, training=TrainingConfig(epochs=7))
    assert config.from_json(config.to_json(chosen)) == chosen


def test_what_an_older_version_did_not_write_has_its_default():
    values = config.to_json(a_config(seed=3))
    del values["price_per_hour"], values["cache"]["dtype"]
    assert config.from_json(values) == a_config(seed=3)


def test_json_of_another_version_is_refused():
    values = config.to_json(a_config())
    values["model"]["colour"] = "red"
    with pytest.raises(ConfigError, match="colour"):
        config.from_json(values)


@pytest.mark.parametrize(
    ("method", "unfreeze", "learning_rate", "augmentation"),
    [
        ("replicate", "all", 3e-3, "none"),
        ("feature_extraction", "none", 1e-2, "none"),
        ("fine_tune", "blocks:4", 1e-2, "light"),
    ],
)
def test_resolve_fills_in_what_the_method_decides(method, unfreeze, learning_rate, augmentation):
    resolved = config.resolve(a_config(model=ModelConfig(method=method)))
    assert resolved.model.unfreeze == unfreeze
    assert resolved.training.learning_rate == learning_rate
    assert resolved.data.augmentation == augmentation


@pytest.mark.parametrize(
    ("written", "read"), [(True, "on"), (False, "off"), ("False", "off"), ("auto", "auto"), ("on", "on")]
)
def test_flips_of_earlier_configs_are_read(written, read):
    values = config.to_json(a_config())
    values["data"]["horizontal_flip"] = written
    config.validate(config.from_json(values))
    assert config.from_json(values).data.horizontal_flip == read


@pytest.mark.parametrize("flip", [False, "False"])  # from Python, and as --config.data.horizontal_flip=False sets it
def test_a_flip_that_is_set_as_before_is_read(flip):
    chosen = a_config()
    chosen.data.horizontal_flip = flip
    assert config.resolve(chosen).data.horizontal_flip == "off"


def test_without_augmentation_nothing_is_mirrored():
    chosen = a_config(model=ModelConfig(method="feature_extraction"))
    assert config.resolve(chosen).data.horizontal_flip == "off"


def test_resolve_keeps_what_the_user_chose_and_leaves_the_original_alone():
    chosen = a_config(training=TrainingConfig(learning_rate=0.5))
    assert config.resolve(chosen).training.learning_rate == 0.5
    assert chosen.model.unfreeze == ""


def test_resolve_twice_is_resolve_once():
    resolved = config.resolve(a_config())
    assert config.resolve(resolved) == resolved


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"data": DataConfig()}, "data"),
        ({"model": ModelConfig(method="finetune")}, "method"),
        ({"model": ModelConfig(head="conv")}, "head"),
        ({"model": ModelConfig(batch_norm="on")}, "batch_norm"),
        ({"model": ModelConfig(resize="stretch")}, "resize"),
        ({"model": ModelConfig(dropout=1.0)}, "dropout"),
        ({"model": ModelConfig(image_size=-1)}, "image_size"),
        ({"data": DataConfig(source="digits", augmentation="heavy")}, "augmentation"),
        ({"data": DataConfig(source="digits", validation_fraction=0.0)}, "validation_fraction"),
        ({"data": DataConfig(source="digits", validation_fraction=0.5, test_fraction=0.5)}, "test_fraction"),
        ({"training": TrainingConfig(epochs=-1)}, "epochs"),
        ({"training": TrainingConfig(global_batch_size=0)}, "batch_size"),
        ({"training": TrainingConfig(learning_rate=float("nan"))}, "learning_rate"),
        ({"training": TrainingConfig(fine_tune_learning_rate_factor=0.5)}, "fine_tune_learning_rate_factor"),
        ({"strategy": "cloud"}, "strategy"),
        ({"export": "saved_model,onxx"}, "export"),
        ({"seed": -1}, "seed"),
        ({"model": ModelConfig(method="feature_extraction", unfreeze="blocks:2")}, "unfreeze"),
        ({"model": ModelConfig(method="fine_tune", unfreeze="none")}, "unfreeze"),
        ({"model": ModelConfig(unfreeze="block:2")}, "unfreeze: .* Did you mean blocks"),
        ({"model": ModelConfig(unfreeze="blocks:two")}, "unfreeze: expected blocks:N"),
        ({"model": ModelConfig(unfreeze="regex:[")}, "unfreeze: expected a regular expression"),
        ({"training": TrainingConfig(epochs="10")}, "epochs: expected a whole number. Received: '10', which is str"),
        ({"training": TrainingConfig(epochs=2.5)}, "epochs: expected a whole number. Received: '2.5', which is float"),
        ({"training": TrainingConfig(epochs=True)}, "epochs: expected a whole number"),
        ({"training": TrainingConfig(learning_rate="auto")}, "learning_rate: expected a number"),
        ({"training": TrainingConfig(learning_rate=None)}, "learning_rate: expected a number. .* which is NoneType"),
        ({"data": DataConfig(source=3)}, "source: expected text"),
        ({"training": TrainingConfig(find_learning_rate="no")}, "find_learning_rate: expected True or False"),
        ({"data": DataConfig(source="digits", horizontal_flip="no")}, "horizontal_flip: expected one of auto, on, off"),
        ({"model": {"backbone": "MobileNetV2"}}, "model: expected a ModelConfig"),
    ],
)
def test_a_field_out_of_its_range_is_named_in_one_line(changes, name):
    with pytest.raises(TransferError, match=name) as raised:
        config.validate(a_config(**changes))
    assert "\n" not in str(raised.value)


def test_the_nearest_method_is_offered():
    with pytest.raises(ConfigError, match=r"Did you mean fine_tune\?"):
        config.validate(a_config(model=ModelConfig(method="finetune")))


def test_differences_name_the_field_and_both_values():
    ours, theirs = config.to_json(a_config(seed=1)), config.to_json(a_config(seed=2))
    assert config.differences(ours, theirs) == ["seed: 2 there, 1 now"]


def test_the_quick_start_is_valid():
    config.validate(config.quick_start())


@pytest.mark.parametrize(("images", "epochs"), [(43, 250), (345, 46), (100_000, 10)])
def test_left_open_epochs_make_at_least_so_many_steps_and_ten_epochs(images, epochs):
    assert config.epochs_for(images, global_batch_size=32, steps=500) == epochs


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig(unfreeze_schedule="blocks:1@0", method="feature_extraction"), "in place of unfreeze"),
        (ModelConfig(unfreeze_schedule="blocks:1@0", unfreeze="all"), "in place of unfreeze"),
    ],
)
def test_a_schedule_stands_alone(model, message):
    with pytest.raises(ConfigError, match=message):
        config.validate(a_config(model=model, training=TrainingConfig(epochs=4)))


def test_a_schedule_without_epochs_names_a_remedy_that_works():
    model = ModelConfig(unfreeze_schedule="blocks:1@0,blocks:2@4")
    with pytest.raises(
        ConfigError, match=r"Use --epochs=10, and --config\.model\.unfreeze_schedule=(\S+)\.$"
    ) as raised:
        config.validate(a_config(model=model))
    remedy = str(raised.value).rsplit("unfreeze_schedule=", 1)[1].rstrip(".")
    config.validate(a_config(model=ModelConfig(unfreeze_schedule=remedy), training=TrainingConfig(epochs=10)))


@pytest.mark.parametrize("schedule", ["block:1@0", "@0", "blocks:0@0"])
def test_what_a_schedule_unfreezes_is_looked_at(schedule):
    with pytest.raises(BackboneError, match="unfreeze: expected"):
        config.validate(a_config(model=ModelConfig(unfreeze_schedule=schedule), training=TrainingConfig(epochs=2)))


def test_an_unknown_field_is_an_error_from_python_too():
    with pytest.raises(ConfigError, match=r"DataConfig: .* Received: sourc\. Did you mean source\?"):
        DataConfig(sourc="photos/")
    with pytest.raises(ConfigError, match=r"TrainingConfig: .* Received: epoch\. Did you mean .*epochs"):
        TransferConfig().training.epoch = 3


def test_numbers_of_numpy_and_paths_are_taken_and_become_plain():
    chosen = TransferConfig(
        data=DataConfig(source=pathlib.Path("photos")),
        training=TrainingConfig(epochs=np.int64(3), learning_rate=np.float32(0.5)),
    )
    resolved = config.resolve(chosen)
    assert (resolved.data.source, resolved.training.epochs, resolved.training.learning_rate) == ("photos", 3, 0.5)
    assert type(resolved.training.epochs) is int


def test_a_config_can_be_copied():
    chosen = a_config(seed=3)
    assert copy.deepcopy(chosen) == pickle.loads(pickle.dumps(chosen)) == dataclasses.replace(chosen) == chosen


def test_the_command_of_a_config_names_every_field_so_that_other_defaults_change_nothing():
    chosen = config.resolve(a_config())
    command = shlex.split(config.train_command(chosen, "run1"))
    named = dict(flag.removeprefix("--config.").split("=", 1) for flag in command[4:])
    assert named == {name: str(value) for name, value in config.flatten(config.to_json(chosen)).items()}
