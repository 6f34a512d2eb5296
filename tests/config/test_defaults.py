"""Tests of tl_keras.config.defaults: the numbers fit the options that they are defaults of."""

from tl_keras.config import METHODS, check_options, defaults
from tl_keras.config.fields import TransferConfig
from tl_keras.config.model_fields import ModelConfig
from tl_keras.config.training_fields import TrainingConfig


def test_every_method_has_a_learning_rate_that_the_option_takes():
    assert set(defaults.DEFAULT_LEARNING_RATES) == set(METHODS)
    for rate in defaults.DEFAULT_LEARNING_RATES.values():
        check_options(TransferConfig(training=TrainingConfig(learning_rate=rate)))


def test_the_default_cut_is_one():
    check_options(TransferConfig(model=ModelConfig(unfreeze=defaults.DEFAULT_CUT)))
