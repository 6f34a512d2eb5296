"""Tests of tl_keras.evaluation.calibration."""

import numpy as np
import pytest
from scipy.special import softmax

from tl_keras.evaluation.calibration import expected_calibration_error, fit_temperature, reliability

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (5000, 4)).astype(np.float32)
LABELS = np.array([RANDOM.choice(4, p=row) for row in softmax(LOGITS.astype(np.float64), axis=-1)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_the_logits_is_found(temperature):
    assert fit_temperature(LOGITS * temperature, LABELS) == pytest.approx(temperature, rel=0.05)


def test_a_validation_set_without_a_mistake_makes_no_answer_certain():
    assert fit_temperature(LOGITS, LOGITS.argmax(-1)) == pytest.approx(0.2, abs=1e-3)


def test_the_error_of_calibrated_scores_is_small_and_of_spoiled_ones_is_not():
    assert expected_calibration_error(softmax(LOGITS, axis=-1), LABELS) < 0.02
    assert expected_calibration_error(softmax(LOGITS * 3, axis=-1), LABELS) > 0.1


def test_the_error_of_one_bin_is_the_gap_between_score_and_accuracy():
    probabilities = np.tile(np.float32([0.9, 0.1]), (10, 1))
    assert expected_calibration_error(probabilities, np.array([0] * 6 + [1] * 4)) == pytest.approx(0.3, abs=1e-6)


def test_the_bins_hold_every_image_with_its_score_and_whether_it_is_right():
    probabilities = softmax(LOGITS, axis=-1)
    bins = reliability(probabilities, LABELS)
    assert bins.images.sum() == len(LABELS)
    assert (bins.images * bins.score).sum() == pytest.approx(probabilities.max(-1).sum(), rel=1e-5)
    assert (bins.images * bins.accuracy).sum() == (LOGITS.argmax(-1) == LABELS).sum()
