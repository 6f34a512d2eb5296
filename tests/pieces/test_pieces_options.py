"""Tests of tl_keras.pieces.options."""

import pytest

from tl_keras.config import TransferConfig
from tl_keras.errors import ConfigError
from tl_keras.pieces.options import set_options


def test_an_option_is_known_by_its_name_and_by_its_flag():
    config = TransferConfig()
    set_options(config, {"batch_size": 8, "weight_decay": 0.0}, parts=("training",), function="f")
    assert (config.training.global_batch_size, config.training.weight_decay) == (8, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 1}, "f: expected an option of docs/options.md that it takes. Received: seed."),
        ({"epochs": "3"}, "epochs: expected .* a whole number"),
    ],
)
def test_an_option_of_another_part_or_type_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        set_options(TransferConfig(), values, parts=("training",), function="f")
