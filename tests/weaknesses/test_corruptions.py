"""Tests of tl_keras.weaknesses.corruptions: ImageNet-C's definitions."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.weaknesses.corruptions import CORRUPTIONS, corrupt, defocus_kernel

NOISE, BLUR, JPEG, CONTRAST, BRIGHTNESS = CORRUPTIONS
SEED = tf.constant([0, 1])
each_corruption = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)


@pytest.fixture(scope="module")
def image():
    """A coloured slope with some grain, float32 (48, 48, 3)."""
    across = np.linspace(60, 180, 48)
    slope = np.stack([across[:, None] + 0 * across, across + 0 * across[:, None], np.full((48, 48), 100.0)], axis=-1)
    grain = np.random.default_rng(0).normal(0, 8, slope.shape)
    return tf.constant(slope + grain, tf.float32)


@each_corruption
def test_severity_0_changes_nothing(corruption, image):
    np.testing.assert_array_equal(corrupt(image, corruption, 0, SEED), image)


@each_corruption
def test_the_change_grows_with_severity_and_stays_an_image(corruption, image):
    changed = [corrupt(image, corruption, severity, SEED).numpy() for severity in range(6)]
    differences = [np.abs(each - image).mean() for each in changed]
    assert differences == sorted(differences)
    assert differences[5] > 0
    assert all(each.shape == image.shape and each.min() >= 0 and each.max() <= 255 for each in changed)


def test_noise_has_the_deviation_that_is_published():
    grey = tf.fill((100, 100, 3), 127.5)
    assert np.std(corrupt(grey, NOISE, 1, SEED)) == pytest.approx(0.08 * 255, rel=0.02)


def test_noise_follows_from_its_seed_alone(image):
    np.testing.assert_array_equal(corrupt(image, NOISE, 3, SEED), corrupt(image, NOISE, 3, SEED))
    assert np.any(corrupt(image, NOISE, 3, SEED) != corrupt(image, NOISE, 3, SEED + 1))


def test_contrast_keeps_the_mean_of_every_channel_and_scales_the_rest(image):
    means = image.numpy().mean(axis=(0, 1))
    expected = 0.2 * (image - means) + means
    np.testing.assert_allclose(corrupt(image, CONTRAST, 3, SEED), expected, atol=1e-3)


def test_brightness_adds_to_the_value_of_hsv():
    pixel = tf.constant([[[50.0, 100.0, 20.0]]])
    brighter = pixel * (100 + 0.2 * 255) / 100  # the largest channel grows by 0.2, the others in proportion
    np.testing.assert_allclose(corrupt(pixel, BRIGHTNESS, 2, SEED), brighter, rtol=1e-5)


def test_jpeg_is_what_pillow_writes_at_the_published_quality(image):
    file = io.BytesIO()
    pixels = tf.cast(tf.round(image), tf.uint8).numpy()
    Image.fromarray(pixels).save(file, format="JPEG", quality=25)
    np.testing.assert_array_equal(corrupt(image, JPEG, 1, SEED), np.asarray(Image.open(file)))


def test_the_disk_of_the_blur_has_the_published_radius():
    kernel = defocus_kernel(3, image_size=224)
    across = np.arange(-4, 5) ** 2
    disk = (across[:, None] + across <= 9) / 29
    np.testing.assert_allclose(kernel, disk, atol=1e-6)  # its edge is softened by a Gaussian of a tenth of a pixel


@pytest.mark.parametrize("radius", BLUR.constants)
def test_a_point_out_of_focus_is_as_bright(radius):
    assert defocus_kernel(radius, image_size=224).sum() == pytest.approx(1, abs=1e-5)


def test_the_blur_grows_with_the_image():
    assert np.count_nonzero(defocus_kernel(3, image_size=448) > 0.005) == np.sum(
        np.arange(-8, 9)[:, None] ** 2 + np.arange(-8, 9) ** 2 <= 36
    )


def test_a_blurred_flat_image_is_itself():
    flat = tf.fill((40, 40, 3), 90.0)
    np.testing.assert_allclose(corrupt(flat, BLUR, 5, SEED), flat, rtol=1e-5)
