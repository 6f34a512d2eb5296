"""Tests of tl_keras.training.transforms."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.training.transforms import training_transform

IMAGE = tf.constant(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))


def spec(rule: str = "short_side") -> PreprocessSpec:
    return PreprocessSpec(
        image_size=24,
        rule=rule,
        crop_fraction=0.875 if rule == "short_side" else 1.0,
        interpolation="bilinear",
        antialias=True,
        normalization="tf",
    )


def test_without_augmentation_it_is_the_evaluation_s():
    transform = training_transform(spec(), augmentation="none", horizontal_flip=False)
    np.testing.assert_array_equal(transform(IMAGE, tf.constant([0, 1])), spec().evaluation_transform(IMAGE))


@pytest.mark.parametrize("rule", ["short_side", "squash", "pad"])
def test_a_seed_decides_the_view(rule):
    transform = training_transform(spec(rule), augmentation="light", horizontal_flip=True)
    one, same, other = (transform(IMAGE, tf.constant(seed)).numpy() for seed in ([0, 1], [0, 1], [0, 2]))
    assert one.shape == (24, 24, 3)
    assert one.dtype == np.float32
    assert one.min() >= 0
    assert one.max() <= 255
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_whole_image_is_shown_where_a_part_may_lack_what_counts():
    corner = np.zeros((48, 48, 3), np.uint8)
    corner[:6, :6] = 255  # a thing at the edge

    def shown(min_crop_area):
        transform = training_transform(
            spec("squash"), augmentation="light", horizontal_flip=False, min_crop_area=min_crop_area
        )
        views = [transform(tf.constant(corner), tf.constant([0, seed])).numpy() for seed in range(20)]
        return [view.max() - view.min() > 100 for view in views]

    assert all(shown(1.0))
    assert not all(shown(0.0))
    assert shown(0.0) == shown(0.5)
