"""Tests of tl_keras.config.serialization."""

import shlex

import pytest

from tl_keras import config
from tl_keras.config import DataConfig, TrainingConfig, TransferConfig
from tl_keras.errors import ConfigError


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


def test_a_field_by_its_name_in_an_older_version_is_read():
    values = config.to_json(a_config())
    del values["cache"]["inference_engine"]
    values["cache"]["engine"] = "keras"
    assert config.from_json(values).cache.inference_engine == "keras"


def test_json_of_another_version_is_refused():
    values = config.to_json(a_config())
    values["model"]["colour"] = "red"
    with pytest.raises(ConfigError, match="colour"):
        config.from_json(values)


@pytest.mark.parametrize(
    ("written", "read"), [(True, "on"), (False, "off"), ("False", "off"), ("auto", "auto"), ("on", "on")]
)
def test_flips_of_earlier_configs_are_read(written, read):
    values = config.to_json(a_config())
    values["data"]["horizontal_flip"] = written
    config.validate(config.from_json(values))
    assert config.from_json(values).data.horizontal_flip == read


@pytest.mark.parametrize(("flip", "turns"), [("auto", "auto"), ("on", "off"), ("off", "off")])
def test_a_run_of_a_version_that_did_not_turn_images_goes_on_without(flip, turns):
    values = config.to_json(a_config())
    values["data"]["horizontal_flip"] = flip
    del values["data"]["quarter_turns"]
    assert config.from_json(values).data.quarter_turns == turns


@pytest.mark.parametrize(("augmentation", "area"), [("light", 0.5), ("strong", 0.25), ("none", 0.0)])
def test_a_run_of_a_version_that_cropped_every_image_goes_on_so(augmentation, area):
    values = config.to_json(a_config())
    values["data"] |= {"horizontal_flip": "on", "augmentation": augmentation}
    del values["data"]["min_crop_area"]
    assert config.from_json(values).data.min_crop_area == area


def test_differences_name_the_field_and_both_values():
    ours, theirs = config.to_json(a_config(seed=1)), config.to_json(a_config(seed=2))
    assert config.differences(ours, theirs) == ["seed: 2 there, 1 now"]


def test_the_command_of_a_config_names_every_field_so_that_other_defaults_change_nothing():
    chosen = config.resolve(a_config())
    command = shlex.split(config.train_command(chosen, "run1"))
    named = dict(flag.removeprefix("--config.").split("=", 1) for flag in command[4:])
    assert named == {name: str(value) for name, value in config.flatten(config.to_json(chosen)).items()}
