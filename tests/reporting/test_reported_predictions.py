"""Tests of tl_keras.reporting.reported_predictions."""

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.single_label import SINGLE_LABEL


def test_scores_are_those_of_the_temperature_and_decisions_those_of_the_task():
    source = ArraySource(np.zeros((2, 8, 8, 3), np.uint8), [0, 1])
    logits = np.float32([[2, 0], [0, 1]])
    answers = ReportedPredictions(source, "test", np.arange(2), source.labels, logits, 2.0, SINGLE_LABEL)
    assert answers.scores[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert answers.probabilities(1.0)[0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert answers.decisions.tolist() == [0, 1]
