"""Tests of tl_keras.weaknesses.attacks: on a linear model, where what they come to is known exactly."""

import keras
import numpy as np
import pytest

from tl_keras.weaknesses.attacks import fgsm, pgd, slope_of_loss

STEPS = 10


@pytest.fixture(scope="module")
def images():
    """Far enough from black and white for every change that is tried."""
    return np.random.default_rng(0).uniform(60, 190, (40, 4, 4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def linear(images):
    """Two classes from 4 x 4 pixels, about as many images of each: logits linear in the image."""
    dense = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=0))
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), dense])
    dense.bias.assign(-model(images).numpy().mean(axis=0))
    return model, dense.kernel.numpy()


def margins(model, images, answers):
    """Returns by how much the logit of an answer is above the other."""
    logits = model(images).numpy().astype(np.float64)
    rows = np.arange(len(images))
    return logits[rows, answers] - logits[rows, 1 - answers]


def make_predict_fn(model, images):
    return model(images).numpy().argmax(axis=-1)


@pytest.mark.parametrize("strength", [0.5, 4.0])
def test_fgsm_takes_the_strength_times_the_norm_from_the_margin(linear, images, strength):
    model, kernel = linear
    answers = make_predict_fn(model, images)
    moved = fgsm(images, slope_of_loss(model)(images, answers)[1], strength=strength)
    fallen = margins(model, images, answers) - margins(model, moved, answers)
    np.testing.assert_allclose(fallen, strength * np.abs(kernel[:, 0] - kernel[:, 1]).sum(), rtol=1e-3)


def test_pgd_takes_the_same_where_that_does_not_change_the_answer(linear, images):
    model, kernel = linear
    answers = make_predict_fn(model, images)
    most = 4 * np.abs(kernel[:, 0] - kernel[:, 1]).sum()
    sure = margins(model, images, answers) > most + 1e-3
    moved = pgd(images, answers, slope_of_loss(model), strength=4, steps=STEPS, seed=0)
    fallen = margins(model, images, answers) - margins(model, moved, answers)
    assert sure.any()
    np.testing.assert_allclose(fallen[sure], most, rtol=1e-3)


def test_pgd_changes_exactly_the_answers_that_can_be_changed(linear, images):
    model, kernel = linear
    answers = make_predict_fn(model, images)
    moved = pgd(images, answers, slope_of_loss(model), strength=4, steps=STEPS, seed=0)
    can_be = margins(model, images, answers) < 4 * np.abs(kernel[:, 0] - kernel[:, 1]).sum()
    assert can_be.any()
    np.testing.assert_array_equal(make_predict_fn(model, moved) != answers, can_be)


def test_at_strength_0_nothing_changes(linear, images):
    model, _ = linear
    slope, answers = slope_of_loss(model), make_predict_fn(model, images)
    np.testing.assert_array_equal(fgsm(images, slope(images, answers)[1], strength=0), images)
    np.testing.assert_array_equal(pgd(images, answers, slope, strength=0, steps=STEPS, seed=0), images)


def test_no_pixel_changes_by_more_than_the_strength_or_leaves_0_to_255(linear):
    model, _ = linear
    images = np.random.default_rng(1).uniform(0, 255, (20, 4, 4, 3)).astype(np.float32)
    slope, answers = slope_of_loss(model), make_predict_fn(model, images)
    for moved in (
        fgsm(images, slope(images, answers)[1], strength=3),
        pgd(images, answers, slope, strength=3, steps=STEPS, seed=0),
    ):
        assert np.abs(moved - images).max() <= 3 + 1e-4
        assert moved.min() >= 0
        assert moved.max() <= 255


def test_a_sure_answer_still_has_a_slope(linear, images):
    model, _ = linear
    answers = make_predict_fn(model, images)
    surest = margins(model, images, answers).argmax()
    sure = keras.Sequential([model, keras.layers.Rescaling(30 / margins(model, images, answers)[surest])])
    assert keras.ops.softmax(sure(images))[surest, answers[surest]] == 1  # in float32 its loss is 0
    assert np.all(slope_of_loss(sure)(images, answers)[1][surest] != 0)
