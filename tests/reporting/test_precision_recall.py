"""Tests of tl_keras.reporting.precision_recall, on scores whose order is known."""

import numpy as np
import pytest

from tl_keras.reporting.precision_recall import average_precisions, precision_recall

LABELS = np.array([0, 0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])


def test_the_average_precision_follows_the_order_of_the_scores():
    # Cats at ranks 1 and 3: (1 + 2/3) / 2. Dogs at ranks 1 and 3 too.
    assert average_precisions(LABELS, SCORES) == pytest.approx([5 / 6, 5 / 6])


def test_a_class_without_images_has_none_and_is_not_drawn():
    scores = np.column_stack([SCORES, np.zeros(4)])
    assert average_precisions(LABELS, scores)[2] is None
    assert "of 2 classes" in precision_recall(LABELS, scores, ["cat", "dog", "bird"]).description


def test_the_best_and_the_worst_are_named_and_the_names_are_escaped():
    scores = np.array([[0.9, 0.1], [0.8, 0.6], [0.5, 0.5], [0.2, 0.8]])
    picture = precision_recall(LABELS, scores, ["<cat>", "dog"])
    assert "highest for <cat>, 1.000, lowest for dog" in picture.description
    assert "&lt;cat&gt;: 1.000" in picture.svg and "<cat>" not in picture.svg
    assert precision_recall(LABELS[:0], scores[:0], ["cat", "dog"]) is None


def test_long_names_are_shortened_in_the_legend_and_one_with_an_underscore_is_in_it():
    picture = precision_recall(LABELS, SCORES, ["_background", "a class whose name would reach beyond the drawing"])
    assert "_background: 0.833" in picture.svg
    assert ">a class wh…e drawing: 0.833<" in picture.svg
