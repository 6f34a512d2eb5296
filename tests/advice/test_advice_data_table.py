"""Tests of tl_keras.advice.data_table; tables are written in the tests of what writes them."""

from tl_keras.advice.data_table import training_command
from tl_keras.config import ModelConfig, TransferConfig


def test_training_reads_deep_greys_as_the_inspection_did():
    config = TransferConfig(model=ModelConfig(significant_bits=12))
    assert training_command("clean.csv", None, config).endswith(" --data=csv:clean.csv --significant_bits=12")
