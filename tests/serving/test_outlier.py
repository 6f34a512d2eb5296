"""Tests of tl_keras.serving.outlier."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tl_keras.builder import choose_backbone, load_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.decoding import decode_image
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


def test_the_distance_is_mahalanobis_under_the_covariance_of_probabilistic_pca():
    projection = MODEL.components @ MODEL.components.T
    covariance = (MODEL.components * MODEL.variances) @ MODEL.components.T
    covariance += MODEL.residual_variance * (np.eye(60) - projection)
    row = features(1)
    offset = row[0] / np.linalg.norm(row) - MODEL.mean
    expected = np.sqrt(offset @ np.linalg.solve(covariance.astype(np.float64), offset))
    assert MODEL.score(row).numpy()[0] * MODEL.threshold == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_flowers_are_told_from_digits_and_from_other_photos(shared_data):
    """Real features of MobileNetV2: 200 training flowers, 50 for the threshold, 100 new ones against 200 others each."""
    model = with_global_pooling(load_backbone(choose_backbone(ModelConfig())))
    train = sorted((shared_data / "flowers5" / "train").glob("*/*.jpg"))
    new = sorted((shared_data / "flowers5" / "test").glob("*/*.jpg"))[::2]
    photos = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))
    with np.load(shared_data / "mnist.npz") as mnist:
        digits = [tf.io.encode_png(digit[..., None]).numpy() for digit in mnist["x_test"][:200]]
    outliers = fit_outlier_model(features_of(model, train[::2]), features_of(model, train[1::8]))
    inside = outliers.score(features_of(model, new)).numpy()
    areas = {}
    for name, images in (("MNIST", digits), ("ImageNet", [file for file in photos if "daisy" not in file.name])):
        outside = outliers.score(features_of(model, images)).numpy()
        areas[name] = roc_auc_score(np.r_[np.zeros(len(inside)), np.ones(len(outside))], np.r_[inside, outside])
    print(f"\narea under the curve: {areas}; {np.mean(inside <= 1):.3f} of new flowers kept")
    assert areas["MNIST"] >= 0.95
    assert areas["ImageNet"] >= 0.95


def with_global_pooling(backbone):
    preprocess = choose_backbone(ModelConfig()).preprocess
    images = keras.Input((preprocess.image_size, preprocess.image_size, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(backbone(preprocess.normalize(images))))


def features_of(model, images):
    """Returns float32 (n, 1280) of files or of encoded images."""
    transform = choose_backbone(ModelConfig()).preprocess.evaluation_transform
    encoded = [image if isinstance(image, bytes) else image.read_bytes() for image in images]
    pixels = tf.data.Dataset.from_tensor_slices(encoded).map(lambda image: transform(decode_image(image)))
    return model.predict(pixels.batch(32), verbose=0)
