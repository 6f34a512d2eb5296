"""Tests of tl_keras.data.options."""

import dataclasses

import pytest

from tl_keras.config import DataConfig, TransferConfig
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.errors import ConfigError


def test_the_options_are_those_of_the_config():
    data = DataConfig(data_dir="sets", splits="fold_1=train", columns="image=id", images_in="photos")
    config = TransferConfig(data=data, task="single_label")
    config.cache.folder = "cache"
    expected = {"data_dir": "sets", "splits": "fold_1=train", "columns": "image=id", "images_in": "photos"}
    found = dataclasses.asdict(SourceOptions.of(config))
    assert {name: found[name] for name in expected} == expected
    assert (found["task"], found["cache_folder"]) == ("single_label", "cache")


def test_a_default_config_has_no_options():
    assert SourceOptions.of(TransferConfig()) == NO_OPTIONS


@pytest.mark.parametrize(
    ("splits", "meanings", "folder_meanings"),
    [
        ("", {}, None),
        ("none", {}, {}),
        ("Fold_1=train,old=unused", {"fold_1": "train", "old": "unused"}, {"fold_1": "train", "old": "unused"}),
    ],
)
def test_splits_are_parsed_for_tables_and_for_folders(splits, meanings, folder_meanings):
    options = SourceOptions(splits=splits)
    assert (options.meanings, options.folder_meanings) == (meanings, folder_meanings)


def test_columns_are_parsed():
    assert SourceOptions(columns="image=id,group=none").column_names == {"image": "id", "group": "none"}
    with pytest.raises(ConfigError, match="columns"):
        _ = SourceOptions(columns="colour=blue").column_names
