"""Tests of tl_keras.training.inputs: cached or computed, a phase sees the same images in the same order."""

import dataclasses

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.training.inputs import FeatureInputs, ImageInputs, feature_store, open_inputs, validation_batches
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare


@pytest.fixture(scope="module")
def models():
    return ModelCache()


@pytest.fixture
def prepare_run(small_teacher, tmp_path, models):
    """Returns a function that prepares a run on 40 images with a cache of its own."""
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    source = ArraySource(images, np.arange(40) % 4 // 3)

    def prepare_run(*, enabled=True, method="fine_tune", sampling="none", **data):
        config = TransferConfig(export="none")
        config.model.backbone, config.model.method = str(small_teacher), method
        config.model.unfreeze = "layers:2" if method == "fine_tune" else ""
        config.training.epochs = config.training.head_epochs = 2
        config.training.global_batch_size, config.training.sampling = 8, sampling
        config.cache.enabled, config.cache.folder = enabled, str(tmp_path / "cache")
        config.data = dataclasses.replace(config.data, augmentation="none", **data)
        return prepare(decide(config, source=source), models, source=source)

    return prepare_run


@pytest.mark.parametrize("sampling", ["none", "balanced"])
def test_cached_activations_follow_the_images_step_by_step(prepare_run, sampling):
    cached = prepare_run(sampling=sampling)
    on_features, on_images = (
        open_inputs(prepared)[0] for prepared in (cached, prepare_run(enabled=False, sampling=sampling))
    )
    assert (on_features.cached, on_images.cached) == (True, False)
    frozen = cached.models.split(cached.student, cached.phases[0].plan).frozen
    batches = zip(on_features.training_batches(0, 2), on_images.training_batches(0, 2), strict=True)
    steps, shown = 0, np.zeros(2)
    for (features, labels), (images, others) in batches:
        steps, shown = steps + 1, shown + labels.numpy().sum(axis=0)
        np.testing.assert_array_equal(labels, others)
        np.testing.assert_allclose(features, frozen(images, training=False), atol=1e-5)
    assert steps == 2 * 4  # 28 training images
    assert shown.tolist() == ([28, 28] if sampling == "balanced" else [42, 14])


def test_both_kinds_answer_alike(prepare_run):
    prepared = prepare_run()
    answers = [
        inputs.predict_fn()(prepared.splits.validation)
        for inputs in (open_inputs(prepared)[-1], open_inputs(prepare_run(enabled=False))[-1])
    ]
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_each_phase_is_cut_at_its_own_place(prepare_run):
    head, last = open_inputs(prepare_run())
    assert (type(head), type(last)) == (FeatureInputs, FeatureInputs)
    assert head.nbytes_per_image == 4 * 16 < last.nbytes_per_image


def test_phases_without_frozen_layers_are_on_images(prepare_run):
    (inputs,) = open_inputs(prepare_run(method="replicate"))
    assert isinstance(inputs, ImageInputs)
    assert inputs.nbytes_per_image == 4 * 3 * 16 * 16


def test_mixed_images_are_new_in_each_epoch_and_not_kept(prepare_run, capsys):
    assert feature_store(prepare_run(mixup=0.2)) is None
    assert (
        "frozen layers: computed at every step, because each epoch sees the images in another way"
        in capsys.readouterr().err
    )


def test_validation_images_come_once_each(prepare_run):
    prepared = prepare_run()
    for inputs in open_inputs(prepared):
        assert sum(
            len(labels) for _, labels in validation_batches(inputs, prepared, prepared.splits.validation)
        ) == len(prepared.splits.validation)
