"""Tests of tl_keras.training.losses."""

import numpy as np
import pytest

from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.losses import MeanOverStep

TARGETS, LOGITS = np.float32([[1, 0], [0, 1]]), np.float32([[3, 0], [9, 0]])
LOSSES = np.log1p(np.exp([-3, 9]))


@pytest.fixture
def loss():
    return MeanOverStep(SINGLE_LABEL.loss(label_smoothing=0.0, class_weights=None), images=2)


def test_it_is_the_mean_of_a_full_step(loss):
    assert float(loss(TARGETS, LOGITS)) == pytest.approx(LOSSES.mean(), rel=1e-5)


def test_images_that_stand_in_for_a_remainder_do_not_count(loss):
    counted = loss(TARGETS, LOGITS, sample_weight=np.float32([1, 0]))
    assert float(counted) == pytest.approx(LOSSES[0] / 2, rel=1e-5)


def test_an_image_counts_alike_in_a_step_of_few(loss):
    """The gradient of a last batch of one image is that image's part in the gradient of a full one."""
    assert float(loss(TARGETS[1:], LOGITS[1:])) == pytest.approx(LOSSES[1] / 2, rel=1e-5)
