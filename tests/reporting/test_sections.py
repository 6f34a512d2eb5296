"""Tests of tl_keras.reporting.sections: the parts that depend on the task."""

from importlib.resources import files

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.page import render
from tl_keras.reporting.run_report import TITLES
from tl_keras.reporting.sections import SECTIONS, ReportedPredictions
from tl_keras.tasks.base import task_named
from tl_keras.tasks.single_label import SINGLE_LABEL


@pytest.fixture
def answers():
    """Predictions for ten images of two classes, of which one is wrong."""
    labels = np.arange(10) % 2
    source = ArraySource(np.zeros((10, 8, 8, 3), np.uint8), labels, class_names=("cat", "dog"))
    logits = np.eye(2, dtype=np.float32)[labels] * 4
    logits[0] = (0, 1)
    return ReportedPredictions(source, "test", np.arange(10), labels, logits, 2.0, SINGLE_LABEL)


def test_the_parts_of_the_tasks_are_there():
    parts = [task_named(name).report_sections for name in ("single_label", "multi_label", "ordinal", "regression")]
    assert set().union(*parts) == set(SECTIONS)


def test_every_part_has_its_title_and_its_place_in_the_contents():
    templates = files("tl_keras.reporting") / "templates" / "sections"
    assert set(TITLES) == set(SECTIONS)
    assert [name for name in SECTIONS if f'<h2 id="{name}">' not in (templates / f"{name}.html").read_text()] == []


def test_confused_classes_are_counted(answers):
    facts = SECTIONS["classes"](None, answers)
    assert facts["confused"] == [("cat", "dog", 1)]
    assert facts["metrics"]["accuracy"] == 0.9


def test_figures_by_class_are_those_of_the_answers_where_these_are_not_the_likeliest_class():
    """Of 40%, 15% and 45% the median grade is the middle one, which is the answer and the least likely."""
    labels, names = np.array([0, 1, 1, 2]), ("none", "mild", "severe")
    source = ArraySource(np.zeros((4, 8, 8, 3), np.uint8), labels, class_names=names)
    task = task_named("ordinal").with_labels(labels)
    logits = task.logits_of(np.array([[0.8, 0.1, 0.1], [0.4, 0.15, 0.45], [0.4, 0.15, 0.45], [0.1, 0.1, 0.8]]))
    answers = ReportedPredictions(source, "test", np.arange(4), labels, logits.astype(np.float32), 1.0, task)
    facts = SECTIONS["classes"](None, answers)
    assert facts["confused"] == []
    assert [row["recall"] for row in facts["metrics"]["classes"]] == [1, 1, 1]


def test_calibration_compares_before_and_after_the_temperature(answers):
    facts = SECTIONS["calibration"](None, answers)
    assert facts["temperature"] == 2.0
    assert facts["likelihoods"][0] != facts["likelihoods"][1]
    np.testing.assert_allclose(answers.scores.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("off", "said"),
    [
        ([0] * 27 + [1] * 8, "27 are right, 8 are off by 1."),
        ([0, 2], "1 is right, 1 is off by 2."),
        ([1, 1], "2 are off by 1."),
    ],
)
def test_grades_that_no_image_is_off_by_are_left_out_without_their_comma(off, said):
    labels, names = np.zeros(len(off), np.int64), ("none", "mild", "severe", "ruined")
    source = ArraySource(np.zeros((len(off), 8, 8, 3), np.uint8), np.arange(len(off)) % 2)
    source.class_names = names
    task = task_named("ordinal").with_labels(np.arange(4))
    logits = np.where(np.array(off)[:, None] > np.arange(3), 9.0, -9.0).astype(np.float32)
    answers = ReportedPredictions(source, "test", np.arange(len(off)), labels, logits, 1.0, task)
    page = render("sections/grades.html", facts=SECTIONS["grades"](None, answers))
    assert said in " ".join(page.split())
    assert "the median of these images would miss" in " ".join(page.split())
