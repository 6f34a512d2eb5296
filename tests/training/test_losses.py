"""Tests of tl_keras.training.losses."""

import numpy as np
import pytest

from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.losses import MeanOverImages


def test_images_that_stand_in_for_a_remainder_do_not_count():
    loss = MeanOverImages(SINGLE_LABEL.loss(label_smoothing=0.0, class_weights=None))
    targets, logits = np.float32([[1, 0], [0, 1]]), np.float32([[3, 0], [9, 0]])
    counted = loss(targets, logits, sample_weight=np.float32([1, 0]))
    assert float(counted) == pytest.approx(np.log1p(np.exp(-3)), rel=1e-5)
