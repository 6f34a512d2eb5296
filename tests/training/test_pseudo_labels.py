"""Tests of tl_keras.training.pseudo_labels; a run with them is tested in `tests/labels/test_unlabelled_training.py`."""

import dataclasses

import numpy as np

from tl_keras.training.pseudo_labels import PseudoLabels

KEPT = PseudoLabels(
    source="more/",
    kept=True,
    images=100,
    by_class={"cat": 30, "dog": 20},
    left_out={"labelled": 0, "copies": 4, "outliers": 6, "unsure": 40},
    accuracy_before=0.8,
    accuracy_after=0.85,
    noise=0.02,
    true_labels=40,
)


def test_kept_ones_are_counted_by_class_and_so_is_what_was_left_out():
    assert KEPT.describe() == (
        "pseudo-labels: 50 of 100 images of more/ (30 cat, 20 dog); left out: 4 copies; 6 outliers; 40 unsure; out of fold they "
        "take a probe on the true labels from accuracy 0.800 to 0.850 (noise 0.020)"
    )
    assert KEPT.to_json()["used"] == 50 and "true_labels" not in KEPT.to_json()


def test_dropped_ones_are_used_by_nothing():
    dropped = dataclasses.replace(KEPT, kept=False, accuracy_after=0.81)
    assert dropped.used == 0 and "dropped" in dropped.to_json()["says"]


def test_images_with_a_true_label_come_first():
    np.testing.assert_array_equal(KEPT.true_among(np.array([3, 39, 40, 77])), [3, 39])
