"""Tests of tl_keras.training.feature_scale: cached or computed, the head of a finer map sees scaled features, and keeps them."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.data.pipeline import evaluation_images
from tl_keras.runs.records import Progress
from tl_keras.training.feature_scale import scale_head
from tl_keras.training.inputs import open_inputs
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.phase_runner import train_unwatched
from tl_keras.training.preparation import decide, prepare


@pytest.fixture
def prepare_run(tmp_path):
    """Returns a function that prepares a run on 24 images with a cache of its own."""
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
    source = ArraySource(images, np.arange(24) % 2)

    def prepare_run(*, enabled=True, method="feature_extraction", output_stride=8):
        config = TransferConfig(export="none")
        config.model.weights, config.model.image_size, config.model.method = "embedded", 64, method
        config.model.output_stride, config.training.epochs = output_stride, 1
        config.cache.enabled, config.cache.folder = enabled, str(tmp_path / "cache")
        return prepare(decide(config, source=source), ModelCache(), source=source)

    return prepare_run


def seen_by_the_logits(prepared):
    """What the logits see of the training images, float32 (n, features)."""
    student = prepared.student
    images = evaluation_images(
        prepared.source, prepared.splits.train, transform=student.preprocess.evaluation_transform
    )
    pooling, scale, *_ = student.head
    return np.asarray(scale(pooling(student.backbone(student.preprocess.normalize(images), training=False))))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_features_of_training_images_are_centred_and_deviate_as_the_rates_expect(prepare_run, enabled):
    prepared = prepare_run(enabled=enabled)
    (inputs,) = open_inputs(prepared)
    assert inputs.cached == enabled
    scale_head(prepared, prepared.phases[0], inputs)
    seen = seen_by_the_logits(prepared)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
    assert np.sqrt(seen.var(axis=0).mean()) == pytest.approx(0.4, rel=0.01)


def test_training_leaves_the_scale_as_it_was_measured(prepare_run):
    prepared = prepare_run()
    (inputs,) = open_inputs(prepared)
    scale_head(prepared, prepared.phases[0], inputs)
    before = [np.array(weight) for weight in prepared.student.head[1].weights]
    kernel = np.array(prepared.student.head[-1].kernel)
    train_unwatched(prepared, prepared.phases[0], inputs, Progress())
    for weight, value in zip(prepared.student.head[1].weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert not np.array_equal(prepared.student.head[-1].kernel, kernel)


@pytest.mark.long
def test_the_last_map_and_random_weights_are_not_scaled(prepare_run):
    usual = prepare_run(output_stride=0)
    (inputs,) = open_inputs(usual)
    scale_head(usual, usual.phases[0], inputs)
    assert [layer.name for layer in usual.student.head] == ["features", "dropout", "logits"]
    random = prepare_run(method="replicate")
    (inputs,) = open_inputs(random)
    scale_head(random, random.phases[0], inputs)
    assert not np.any(random.student.head[1].moving_mean)
