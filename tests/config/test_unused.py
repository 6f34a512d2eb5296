"""Tests of tl_keras.config.unused."""

import pytest

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig, resolve, unused_options


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training": TrainingConfig(head_epochs=5)}, []),
        ({"data": DataConfig(source="photos/", horizontal_flip="on")}, []),
        (
            {
                "model": ModelConfig(method="feature_extraction"),
                "training": TrainingConfig(head_epochs=5, layer_decay=0.8),
            },
            ["head_epochs and layer_decay: no effect in method feature_extraction"],
        ),
        (
            {"model": ModelConfig(head_units=512)},
            ["head_units: no effect in head linear, which has no hidden layer; use --head=mlp"],
        ),
        ({"model": ModelConfig(head="mlp", head_units=512)}, []),
        (
            {"model": ModelConfig(method="replicate"), "data": DataConfig(source="photos/", quarter_turns="on")},
            ["quarter_turns: no effect, since images are not augmented; use --augmentation=light"],
        ),
        (
            {
                "model": ModelConfig(method="feature_extraction"),
                "data": DataConfig(source="photos/", augmentation="light", horizontal_flip="on"),
            },
            [],
        ),
    ],
)
def test_options_that_do_nothing_are_named(changes, said):
    config = TransferConfig(**{"data": DataConfig(source="photos/"), **changes})
    assert unused_options(config) == said
    resolve(config)  # since a config file may hold what a flag leaves without effect, such as --head


@pytest.mark.parametrize("method", ["fine_tune", "feature_extraction", "replicate"])
def test_a_resolved_config_has_none_that_nobody_chose(method):
    config = TransferConfig(data=DataConfig(source="photos/"), model=ModelConfig(method=method))
    assert unused_options(resolve(config)) == []
