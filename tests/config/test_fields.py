"""Tests of tl_keras.config.fields."""

import copy
import dataclasses
import pathlib
import pickle
import re

import pytest

from tl_keras import config
from tl_keras.config import DataConfig, TransferConfig
from tl_keras.errors import ConfigError


def a_config(**changes) -> TransferConfig:
    """Returns a valid config, with parts replaced."""
    return TransferConfig(**{"data": DataConfig(source="digits"), **changes})


def test_the_quick_start_is_valid():
    config.validate(config.quick_start())


def test_an_unknown_field_is_an_error_from_python_too():
    with pytest.raises(ConfigError, match=r"DataConfig: .* Received: sourc\. Did you mean source\?"):
        DataConfig(sourc="photos/")
    with pytest.raises(ConfigError, match=r"TrainingConfig: .* Received: epoch\. Did you mean .*epochs"):
        TransferConfig().training.epoch = 3


def test_a_config_can_be_copied():
    chosen = a_config(seed=3)
    assert copy.deepcopy(chosen) == pickle.loads(pickle.dumps(chosen)) == dataclasses.replace(chosen) == chosen


@pytest.mark.parametrize("option", list(config.options_of(TransferConfig)), ids=lambda option: option.path)
def test_every_option_has_a_description_and_its_default_is_one_of_its_values(option):
    assert re.fullmatch(r"\S.*\.", option.description.text)
    option.check(option.default)


def test_no_two_flags_share_a_name():
    flags = [option.description.flag for option in config.options_of(TransferConfig) if option.description.flag]
    assert sorted(flags) == sorted(set(flags))


def test_every_option_stands_on_the_page_of_options():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "options.md").read_text(encoding="utf-8")
    missing = [option.path for option in config.options_of(TransferConfig) if f"`{option.path}`" not in page]
    assert not missing
