"""Tests of tl_keras.training.run_images."""

import numpy as np

from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.splits import Splits
from tl_keras.training.pseudo_labels import PseudoLabels
from tl_keras.training.run_images import RunImages

FACTS = PseudoLabels("more/", True, 2, {"0": 1, "1": 1}, {}, 0.5, 0.6, 0.01, true_labels=6)


def test_images_with_a_pseudo_label_are_trained_on_and_not_recorded_as_labelled():
    images = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), np.uint8)
    source = ArraySource(images, [0, 1] * 4)
    train = np.array([0, 0, 1, 1, 6, 7])  # those with a true label weigh twice as much
    splits = Splits(train, np.array([2, 3]), np.array([4, 5]), 0, 0.15, 0.15, 0)
    found = RunImages(source, inspect_source(source), splits, pseudo_labels=FACTS)
    assert found.labelled.tolist() == [0, 1] and len(found.trained) == 6
    recorded = found.recorded_splits()
    assert recorded["train"] == ["array:0", "array:1"] and len(recorded["train_sha256"]) == 4
    assert RunImages(source, found.inspection, splits).labelled.tolist() == [0, 1, 6, 7]
