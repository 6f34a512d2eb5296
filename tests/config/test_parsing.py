"""Tests of tl_keras.config.parsing."""

import pytest

from tl_keras import config
from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig
from tl_keras.errors import BackboneError, ConfigError


def a_config(**changes) -> TransferConfig:
    """Returns a valid config, with parts replaced."""
    return TransferConfig(**{"data": DataConfig(source="digits"), **changes})


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


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("", None),
        ("none", {}),
        ("Fold_1=train, old=unused,dev=val", {"fold_1": "train", "old": "unused", "dev": "validation"}),
    ],
)
def test_splits_are_read(text, splits):
    assert config.parse_splits(text) == splits


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (config.parse_splits, "fold_1", "splits: expected NAME=VALUE"),
        (config.parse_splits, "fold_1=trian", r"splits: expected one of .*Did you mean train\?"),
        (config.parse_columns, "imag=id", r"columns: expected one of .*Did you mean image\?"),
        (config.export_formats, "litert,onxx", r"export: expected one of .*Did you mean onnx\?"),
        (config.export_formats, "", "export: expected one of"),
        (
            config.parse_columns,
            "label=open,label=short",
            r"columns: .* once. Received: label twice. .* label=COLUMN\+COLUMN",
        ),
        (config.parse_splits, "Old=train,old=test", "splits: expected each name once. Received: old twice"),
        *(
            (config.parse_optimizer, f'{{"class_name": "SGD", "config": {of}}}', "optimizer: expected a JSON object")
            for of in ("[1]", '{"learning_rate": true}', '{"learning_rate": {"config": [2]}}')
        ),
        (
            config.parse_optimizer,
            '{"class_name": "SGD", "config": {"learning_rate": {"config": {"values": 3}}}}',
            "optimizer: expected a JSON object",
        ),
    ],
)
def test_what_is_not_of_the_language_is_one_line(parse, text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_formats_are_read_once_each():
    assert config.export_formats("onnx,litert,onnx") == config.export_formats("onnx, litert") == ("onnx", "litert")
    assert config.export_formats("none") == ()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10min", 600), ("1.5h", 5400), ("", 0)])
def test_a_budget_is_read(text, seconds):
    assert config.parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["10", "0s", "ten minutes"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigError, match="budget"):
        config.parse_budget(text)
