"""Tests of tl_keras.config.training_fields: the rate that is measured."""

from tl_keras.config.training_fields import TrainingConfig


def test_the_rate_auto_is_measured():
    assert TrainingConfig(learning_rate="auto") == TrainingConfig(find_learning_rate=True)
    chosen = TrainingConfig()
    chosen.learning_rate = "auto"
    assert chosen == TrainingConfig(find_learning_rate=True)
