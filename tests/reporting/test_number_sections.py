"""Tests of tl_keras.reporting.number_sections."""

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.number_sections import numbers_facts
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.regression import Regression


def test_each_number_has_its_measures_and_two_figures():
    labels = np.random.default_rng(0).normal(50, 10, (30, 2))
    source = ArraySource(np.zeros((30, 8, 8, 3), np.uint8), np.arange(30) % 2)
    source.class_names, source.labels = ("age", "size"), labels
    task = Regression().with_labels(labels)
    logits = np.float32((labels + 1 - labels.mean(axis=0)) / labels.std(axis=0))  # each is one too large
    task = task.with_predictions(logits, labels)
    facts = numbers_facts(None, ReportedPredictions(source, "test", np.arange(30), labels, logits, 1.0, task))
    assert [name for name, *_ in facts["figures"]] == ["age", "size"]
    # A little less than 1: predictions go only as far from the mean as they held.
    assert facts["measures"]["columns"][0]["mean_absolute_error"] == pytest.approx(0.98, abs=0.01)
