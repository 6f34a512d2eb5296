"""Tests of tl_keras.reporting.label_sections."""

import numpy as np

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.label_sections import labels_facts
from tl_keras.reporting.page import render
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.multi_label import MultiLabel


def test_labels_that_are_taken_for_each_other_and_that_come_together():
    labels = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0], [1, -1, 0]])
    source = ArraySource(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4) % 2)
    source.class_names, source.labels = ("ant", "bee", "cat"), labels
    logits = np.float32([[-2, 2, 2], [2, -2, 2], [-2, 2, -2], [-2, 2, -2]])
    task = MultiLabel(count=3, temperatures=(1.0,) * 3, thresholds=(0.5,) * 3)
    facts = labels_facts(None, ReportedPredictions(source, "test", np.arange(4), labels, logits, 1.0, task))
    assert facts["mixed"] == [("ant", "bee", 1)]  # of the last image nobody knows whether it has the second
    assert facts["together"] == [("ant", "cat", 2)]
    assert [row["label"] for row in facts["measures"]["labels"]] == ["ant", "bee", "cat"]
    assert "ant" in facts["precisions"].svg
    page = " ".join(render("sections/labels.html", facts={**facts, "noun": "text"}).split())
    assert "ant is missed, and bee is found although it is not there: 1" in page
    assert "ant and cat: 2 texts" in page and "texts that have the label" in page and "image" not in page.lower()
