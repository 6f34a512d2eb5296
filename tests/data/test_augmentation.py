"""Tests of tl_keras.data.augmentation."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.data.augmentation import make_augmentation, random_resized_crop
from tl_keras.errors import ConfigError

IMAGE = tf.constant(np.random.default_rng(0).integers(0, 256, (24, 20, 3)), tf.float32)


def seed_of(number):
    return tf.random.fold_in(tf.constant([0, 1]), tf.cast(number, tf.int32))


# Building and tracing RandAugment takes seconds.
shared_augmentation = functools.cache(make_augmentation)


def augmented(preset, *, parallel_calls, images=64, horizontal_flip=True, make=shared_augmentation):
    augment = make(preset, horizontal_flip=horizontal_flip)
    dataset = tf.data.Dataset.range(images).map(lambda n: augment(IMAGE, seed_of(n)), num_parallel_calls=parallel_calls)
    return np.stack(list(dataset.as_numpy_iterator()))


def test_none_changes_nothing():
    np.testing.assert_array_equal(make_augmentation("none", horizontal_flip=True)(IMAGE, seed_of(0)), IMAGE)


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_a_seed_decides_the_image(preset):
    sequential = augmented(preset, parallel_calls=1)
    tf.random.set_seed(7)
    np.testing.assert_array_equal(augmented(preset, parallel_calls=8, make=make_augmentation), sequential)
    assert len(np.unique(sequential.reshape(64, -1), axis=0)) > 55


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_called_eagerly_it_does_the_same(preset):
    augment = shared_augmentation(preset, horizontal_flip=True)
    eager = np.stack([augment(IMAGE, seed_of(number)) for number in range(20)])
    np.testing.assert_array_equal(eager, augmented(preset, parallel_calls=1, images=20))


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_values_and_shape_stay(preset):
    images = augmented(preset, parallel_calls=2)
    assert images.shape[1:] == IMAGE.shape
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 255
    assert images.max() > 200


def test_strong_varies_from_nothing_to_much():
    changes = np.abs(augmented("strong", parallel_calls=2, images=200) - IMAGE.numpy()).mean(axis=(1, 2, 3))
    assert changes.min() < 15
    assert changes.max() > 60


def test_strong_is_float32_under_mixed_precision():
    expected = augmented("strong", parallel_calls=1, images=10)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = augmented("strong", parallel_calls=1, images=10, make=make_augmentation)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(mixed, expected)


@pytest.mark.parametrize("horizontal_flip", [True, False])
def test_half_of_the_images_are_mirrored_where_asked_for(horizontal_flip):
    images = augmented("light", parallel_calls=2, images=200, horizontal_flip=horizontal_flip).reshape(200, -1)
    straight = [np.corrcoef(image, IMAGE.numpy().ravel())[0, 1] > 0.9 for image in images]
    assert np.mean(straight) == pytest.approx(0.5 if horizontal_flip else 1.0, abs=0.1 if horizontal_flip else 0)


def test_every_quarter_is_as_frequent_and_nothing_else_of_the_image_changes():
    square = IMAGE[:20]
    plain, turning = (make_augmentation("light", horizontal_flip=True, quarter_turns=turns) for turns in (False, True))
    images = tf.data.Dataset.range(200).map(lambda n: (plain(square, seed_of(n)), turning(square, seed_of(n))))
    quarters = []
    for upright, turned in images.as_numpy_iterator():
        assert turned.shape == square.shape
        (quarter,) = [turn for turn in range(4) if np.allclose(np.rot90(upright, turn), turned, atol=1e-3)]
        quarters.append(quarter)
    assert np.bincount(quarters).min() > 30


def test_an_unknown_preset_offers_the_nearest():
    with pytest.raises(ConfigError, match=r"Received: srong\. Did you mean strong"):
        make_augmentation("srong", horizontal_flip=True)


def crops(image, *, count=200, min_area=0.25, **options):
    preprocess = dataclasses.replace(
        PreprocessSpec(
            image_size=16,
            rule="squash",
            crop_fraction=1.0,
            interpolation="bilinear",
            antialias=True,
            normalization="tf",
        ),
        **options,
    )
    crop = functools.partial(random_resized_crop, image_size=16, min_area=min_area, resize=preprocess.resize)
    dataset = tf.data.Dataset.range(count).map(lambda n: crop(image, seed_of(n)), num_parallel_calls=2)
    return dataset, np.stack(list(dataset.as_numpy_iterator()))


def coordinates(height, width):
    """An image whose values tell where a pixel was: row, column, 0, each from 0 to 255."""
    rows, columns = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return tf.constant(np.stack([rows, columns, 0 * rows], axis=-1), tf.float32)


def test_a_crop_follows_from_the_seed():
    _, first = crops(IMAGE)
    _, again = crops(IMAGE)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(200, -1), axis=0)) > 150


def test_the_graph_knows_the_size_of_a_crop():
    dataset, _ = crops(tf.cast(IMAGE, tf.uint8), count=1)
    assert dataset.element_spec == tf.TensorSpec((16, 16, 3), tf.float32)


def test_crops_keep_the_area_and_aspect_asked_for():
    _, images = crops(coordinates(200, 300), min_area=0.25, antialias=False)
    heights = (images[:, -1, 0, 0] - images[:, 0, 0, 0]) / 255 * 200 * 16 / 15
    widths = (images[:, 0, -1, 1] - images[:, 0, 0, 1]) / 255 * 300 * 16 / 15
    areas = heights * widths / (200 * 300)
    assert 0.23 < areas.min() < 0.35
    assert 0.7 < areas.max() < 1.02
    assert 0.72 < (widths / heights).min() < (widths / heights).max() < 1.37


def test_crops_reach_every_edge():
    _, images = crops(coordinates(60, 60), count=300)
    assert images[..., :2].min() < 5
    assert images[..., :2].max() > 250


def test_a_narrow_image_is_cropped_at_its_centre():
    _, images = crops(coordinates(400, 30), min_area=0.9, count=3)
    rows = images[:, :, :, 0]
    np.testing.assert_allclose(rows.mean(axis=(1, 2)), 127.5, atol=1)
    np.testing.assert_allclose(rows.max(axis=(1, 2)) - rows.min(axis=(1, 2)), 40 / 400 * 255, atol=4)


def test_one_pixel_is_enough():
    _, images = crops(tf.fill((1, 1, 3), 7.0), count=3)
    np.testing.assert_array_equal(images, 7.0)


def test_interpolation_does_not_overshoot():
    _, images = crops(tf.cast(IMAGE > 128, tf.float32) * 255, interpolation="bicubic")
    assert images.min() >= 0
    assert images.max() <= 255
