"""Tests of tl_keras.reporting.decision_sections: what a decision makes of the reported images."""

import numpy as np

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.decision_sections import decision_facts
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.decision import Decision
from tl_keras.tasks.single_label import SingleLabel


def test_refused_images_have_a_column_of_their_own():
    labels = np.arange(10) % 2
    source = ArraySource(np.zeros((10, 8, 8, 3), np.uint8), labels, class_names=("cat", "dog"))
    logits = np.eye(2, dtype=np.float32)[labels] * 4
    logits[0] = (0.1, 0)
    task = SingleLabel(decision=Decision(positive=1, threshold=0.5, refuse_below=0.6))
    facts = decision_facts(None, ReportedPredictions(source, "test", np.arange(10), labels, logits, 1.0, task))
    assert facts["confusion"] == {
        "answers": ("cat", "dog", "refused"),
        "rows": [("cat", [4, 0, 1]), ("dog", [0, 5, 0])],
    }
    assert len(facts["curves"]) == 2
    assert "90.0% of the images are answered" in facts["lines"][-1]


def test_a_point_is_spoken_of_where_one_is_drawn():
    labels = np.arange(10) % 2
    source = ArraySource(np.zeros((10, 8, 8, 3), np.uint8), labels, class_names=("cat", "dog"))
    logits = np.eye(2, dtype=np.float32)[labels] * 4
    for threshold, said in (
        (0.5, "; the point is what was chosen on validation."),
        (1.0, "; what was chosen on validation has no point, "),
    ):
        task = SingleLabel(decision=Decision(positive=1, threshold=threshold))
        facts = decision_facts(None, ReportedPredictions(source, "test", np.arange(10), labels, logits, 1.0, task))
        assert said in facts["curves"][0].description
