"""Tests of tl_keras.config.decision_fields: whether a decision is asked for."""

from tl_keras.config.decision_fields import DecisionConfig


def test_a_decision_is_asked_for_by_any_option():
    assert not DecisionConfig().given
    assert DecisionConfig(refuse_below=0.5).given
    assert DecisionConfig(costs="costs.csv").given
