"""Tests of tl_keras.config.model_fields: layers that nobody can mean are refused."""

import pytest

from tl_keras.config import TransferConfig, options_of
from tl_keras.errors import TransferError


@pytest.mark.parametrize(
    ("path", "value"), [("model.unfreeze", "blok:2"), ("model.head_layers", "Dense"), ("model.dropout", 1.0)]
)
def test_a_wrong_value_is_named(path, value):
    (option,) = [option for option in options_of(TransferConfig) if option.path == path]
    with pytest.raises(TransferError, match=path.rpartition(".")[2]):
        option.check(value)
