"""Tests of tl_keras.reporting.augmented: training images as they were varied."""

import numpy as np
import pytest

from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, PreprocessSpec
from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.augmented import augmented_samples


@pytest.fixture
def shown():
    """Returns a function that gives the samples of twelve images under an augmentation."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), np.uint8)
    preprocess = PreprocessSpec(
        image_size=16,
        rule="squash",
        crop_fraction=1.0,
        interpolation="bilinear",
        antialias=True,
        normalization=INSIDE_THE_MODEL,
    )

    def shown(augmentation):
        config = TransferConfig()
        config.data.augmentation, config.data.horizontal_flip = augmentation, "off"
        return augmented_samples(config, ArraySource(pixels, np.arange(12) % 2), np.arange(2, 12), preprocess)

    return shown


def test_images_are_shown_as_they_are_and_in_three_views_each_another(shown):
    samples = shown("light")
    assert len(samples) == 4
    assert all(len(set(sample["pictures"])) == 4 for sample in samples)
    assert shown("light") == samples  # the views of training, which a seed decides


@pytest.mark.parametrize("augmentation", ["none", "own"])
def test_what_was_not_varied_or_cannot_be_again_is_not_shown(shown, augmentation):
    assert shown(augmentation) == []
