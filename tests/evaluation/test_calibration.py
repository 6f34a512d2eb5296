"""Tests of tl_keras.evaluation.calibration."""

import numpy as np
import pytest
from scipy.special import softmax

from tl_keras.evaluation.calibration import (
    calibrate,
    expected_calibration_error,
    fit_temperature,
    mean_log_loss,
    out_of_fold_probabilities,
    reliability,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (5000, 4)).astype(np.float32)
LABELS = np.array([RANDOM.choice(4, p=row) for row in softmax(LOGITS.astype(np.float64), axis=-1)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_the_logits_is_found(temperature):
    assert fit_temperature(LOGITS * temperature, LABELS) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("images", [1, 5, 28, 500])
@pytest.mark.parametrize("margin", [0.1, 1.0, 5.0, 50.0])
@pytest.mark.parametrize("classes", [2, 100])
def test_a_validation_set_without_a_mistake_makes_no_answer_certain(images, margin, classes):
    """Of 28 images of two classes a temperature of 0.2 was made: what is promised is to stay in proportion to the images."""
    logits = np.zeros((images, classes), np.float32)
    logits[:, 0] = margin
    temperature = fit_temperature(logits, np.zeros(images, np.int64))
    assert temperature <= 1
    doubt = 1 - softmax(logits[0].astype(np.float64) / temperature)[0]
    assert temperature == 1 or doubt * images > 0.1


@pytest.mark.parametrize(("margin", "right", "most"), [(2, True, 1), (2, False, 1), (9, True, 1), (9, False, 4.1)])
def test_a_single_image_moves_the_temperature_little_or_not_at_all(margin, right, most):
    assert 1 <= fit_temperature(np.float32([[margin, 0]]), np.array([int(not right)])) <= most


def test_no_image_leaves_the_temperature_at_1():
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1


@pytest.mark.parametrize("factor", [0.01, 1.0, 100.0])
def test_no_bound_is_reached_whatever_the_scale_of_the_logits(factor):
    assert fit_temperature(LOGITS * factor, LABELS) == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("images", [5, 10, 28, 100])
@pytest.mark.parametrize("true", [0.8, 1.0, 1.25, 2.5])
def test_in_expectation_held_out_likelihood_is_no_worse_after_than_before(images, true):
    """Over 200 draws of validation images, the mean over the rest; `true` is the temperature that mends the logits."""
    random, logits, rest = np.random.default_rng(images), LOGITS * np.float32(true), slice(1000)
    before, gained = mean_log_loss(softmax(logits[rest], axis=-1), LABELS[rest]), []
    for _ in range(200):
        drawn = 1000 + random.permutation(4000)[:images]
        temperature = fit_temperature(logits[drawn], LABELS[drawn])
        gained.append(before - mean_log_loss(softmax(logits[rest] / temperature, axis=-1), LABELS[rest]))
    assert np.mean(gained) >= -1e-3


def test_probabilities_out_of_fold_know_nothing_of_their_image():
    labels = LABELS[:28].copy()
    before = out_of_fold_probabilities(LOGITS[:28], labels)
    labels[7] = (labels[7] + 1) % 4
    np.testing.assert_array_equal(out_of_fold_probabilities(LOGITS[:28], labels)[7], before[7])


def test_what_calibration_does_is_measured_out_of_fold():
    found = calibrate(LOGITS[:40] * 3, LABELS[:40])
    fitted = mean_log_loss(softmax(LOGITS[:40] * 3 / found.temperature, axis=-1), LABELS[:40])
    before, after = found.negative_log_likelihood
    assert fitted < after < before
    assert "40 validation images" in found.to_json()["measured_on"]


def test_one_image_can_be_calibrated():
    found = calibrate(np.float32([[2.0, 0.0]]), np.array([1]))
    assert found.temperature == 1
    assert found.negative_log_likelihood[0] == pytest.approx(found.negative_log_likelihood[1])


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
