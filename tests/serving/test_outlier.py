"""Tests of tl_keras.serving.outlier."""

import numpy as np
import pytest

from tl_keras.serving.outlier import fit_outlier_model

RANDOM = np.random.default_rng(0)


def features(count, *, shift=0.0):
    """Returns float32 (count, 60) around one direction, or around another."""
    centre = np.linspace(1, 2, 60) + shift * np.sin(np.arange(60))
    return (centre + RANDOM.normal(0, 0.1, (count, 60))).astype(np.float32)


MODEL = fit_outlier_model(features(300), features(200))


def test_the_threshold_keeps_95_percent_of_images_like_those_of_validation():
    assert np.mean(MODEL.score(features(2000)).numpy() <= 1) == pytest.approx(0.95, abs=0.03)


def test_other_images_are_beyond_it():
    assert np.all(MODEL.score(features(100, shift=1.0)).numpy() > 2)


def test_the_length_of_a_feature_vector_says_nothing():
    row = features(1)
    np.testing.assert_allclose(MODEL.score(row), MODEL.score(5 * row), rtol=1e-4)


@pytest.mark.parametrize("rows", [features(2), np.ones((5, 8), np.float32)])
def test_few_or_equal_images_give_finite_scores(rows):
    assert np.all(np.isfinite(fit_outlier_model(rows, rows).score(rows).numpy()))


def test_the_distance_is_mahalanobis():
    along = MODEL.components[:, 0] * np.sqrt(MODEL.variances[0])
    unit = (MODEL.mean + 1e-3 * along)[None]
    scaled = unit / np.linalg.norm(unit)
    expected = np.sqrt(
        (((scaled - MODEL.mean) @ MODEL.components) ** 2 / MODEL.variances).sum()
        + np.sum(
            (scaled - MODEL.mean) ** 2
            - ((scaled - MODEL.mean) @ MODEL.components) @ MODEL.components.T * (scaled - MODEL.mean)
        )
        / MODEL.residual_variance
    )
    assert MODEL.score(unit).numpy()[0] * MODEL.threshold == pytest.approx(expected, rel=1e-2)
