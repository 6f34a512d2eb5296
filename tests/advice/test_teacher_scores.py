"""Tests of tl_keras.advice.teacher_scores: real teachers on scikit-learn's digits and on flowers."""

import copy
import dataclasses

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.candidates import Candidate, parse_candidate
from tl_keras.advice.teacher_scores import draw_sample, pooled_features, score_teacher
from tl_keras.config import quick_start
from tl_keras.errors import DataError
from tl_keras.probes.transferability import draw
from tl_keras.training.model_cache import ModelCache

EMBEDDED = Candidate("MobileNetV2", "embedded")


@pytest.fixture(scope="module")
def sample(settings):
    return draw_sample(settings, ModelCache())


@pytest.fixture(scope="module")
def scores(settings, sample):
    return score_teacher(EMBEDDED, settings, sample)


@pytest.mark.long
def test_a_probe_at_each_depth_tells_digits_apart(scores):
    assert [depth.unfreeze for depth in scores.depths] == ["fraction:0.7", "blocks:4", "blocks:2", "none"]
    assert all(depth.probe.accuracy > 0.6 for depth in scores.depths)
    assert scores.last.pooled.shape == (100, 1280)
    assert scores.closeness is None  # the embedded teacher has no classes of its own


@pytest.mark.long
def test_a_depth_whose_features_training_would_not_keep_is_looked_at_too(settings, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("tl_keras.training.features._SLOW_DISK", 1.0)
    config = copy.deepcopy(settings)
    config.cache.folder = str(tmp_path / "features")
    assert len(score_teacher(EMBEDDED, config, sample).depths) == 4


def test_the_pooled_features_are_those_of_the_last_depth(settings, sample, scores):
    pooled = pooled_features(EMBEDDED, settings, sample.images.source, sample.images.inspection, sample.indices)
    np.testing.assert_allclose(pooled, scores.last.pooled, atol=1e-6)


def test_no_validation_or_test_image_is_in_the_sample(sample):
    assert set(sample.indices) <= set(sample.images.splits.train)


def test_images_of_one_group_are_refused_of_which_none_can_be_asked_about(settings, tmp_path):
    rows = []
    for number in range(6):
        Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]},{'train' if number < 4 else 'validation'},{number // 4}")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split,patient", *rows]))
    config = copy.deepcopy(settings)
    config.data = dataclasses.replace(settings.data, source=f"csv:{tmp_path / 'list.csv'}", train_examples_per_class=0)
    with pytest.raises(
        DataError, match=r"expected training images of two groups at least, .* Received one\. Add images"
    ):
        draw_sample(config, ModelCache())


def test_classes_are_drawn_in_proportion_and_the_smallest_with_a_few():
    labels = np.repeat([0, 1, 2], [900, 97, 3])
    drawn = draw(np.arange(1000), labels, images=100, of_each_class=5, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [90, 10, 3]
    assert drawn.tolist() == sorted(set(drawn))


@pytest.mark.long
def test_the_imagenet_teacher_says_what_it_takes_the_flowers_for(shared_data):
    config = quick_start()
    config.data = dataclasses.replace(config.data, source=str(shared_data / "flowers5"), train_examples_per_class=10)
    closeness = score_teacher(parse_candidate("MobileNet:0.25"), config, draw_sample(config, ModelCache())).closeness
    assert closeness.seen["daisy"][0][0] == "daisy"
    assert closeness.leep < 0
    assert closeness.nce < 0
