"""Tests of tl_keras.weaknesses.mimicry."""

import keras
import numpy as np
import pytest

from tl_keras.weaknesses.mimicry import Mimic

IMAGES, TARGETS = np.random.default_rng(0).uniform(10, 245, (2, 3, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def pixels():
    """A network whose features are the pixels, as two tensors."""
    images = keras.Input((8, 8, 3))
    return Mimic(keras.Model(images, [images[..., :1], images[..., 1:]]))


def test_features_that_are_pixels_go_towards_the_targets_as_far_as_is_allowed(pixels):
    moved = pixels(IMAGES, TARGETS, strength=5, steps=10)
    far = np.abs(TARGETS - IMAGES) > 5
    expected = np.clip(TARGETS, IMAGES - 5, IMAGES + 5)
    np.testing.assert_allclose(moved[far], expected[far], atol=1e-4)
    assert np.abs(moved - IMAGES).max() <= 5 + 1e-4


def test_at_strength_0_nothing_changes(pixels):
    np.testing.assert_array_equal(pixels(IMAGES, TARGETS, strength=0, steps=10), IMAGES)


def test_features_of_a_convolution_come_closer_to_those_of_the_targets():
    initializer = keras.initializers.GlorotUniform(0)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(16, 3, activation="relu", kernel_initializer=initializer),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    moved = Mimic(network)(IMAGES, TARGETS, strength=8, steps=10)
    wanted = network(TARGETS).numpy()
    before, after = (np.linalg.norm(network(images) - wanted, axis=-1) for images in (IMAGES, moved))
    assert np.all(after < 0.7 * before)
