"""Tests of tl_keras.advice.time_estimate: real rehearsals on scikit-learn's digits."""

import pytest

from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.advice.time_estimate import estimate_time
from tl_keras.config import quick_start, resolve
from tl_keras.training.features import FeatureStore
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


@pytest.fixture
def settings(tmp_path):
    """Of a run whose frozen layers have computed nothing yet."""
    config = quick_start()
    config.model.method, config.model.unfreeze, config.export = "feature_extraction", "", "none"
    config.cache.folder = str(tmp_path / "features")
    return resolve(config)


@pytest.mark.slow
def test_training_reads_what_the_rehearsal_has_computed(settings, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("tl_keras.console._details_shown", True)
    settings.training.epochs = 2
    sample = draw_sample(settings, ModelCache())
    estimate = estimate_time(settings, sample)
    assert estimate.rehearsal_seconds > 0
    assert estimate.seconds > 0
    assert "frozen layers" not in capfd.readouterr().err  # of which a run would speak
    result = train_and_evaluate(settings, tmp_path / "run")
    images = result.images
    assert (images["train"], len(sample.splits.test)) == (100, images["test"])
    left = images["validation"] - 128 + images["test"]
    assert f"frozen layers: {left:,} images, " in capfd.readouterr().err


@pytest.mark.slow
def test_of_what_is_all_computed_nothing_is_missing_after_the_rehearsal_either(settings, tmp_path, monkeypatch):
    settings.model.method, settings.model.unfreeze = "fine_tune", "blocks:2"
    settings.training.epochs = settings.training.head_epochs = 2
    train_and_evaluate(settings, tmp_path / "run")
    missing, seen = FeatureStore.missing, []
    monkeypatch.setattr(FeatureStore, "missing", lambda store, cut: seen.append(missing(store, cut)) or seen[-1])
    estimate_time(settings, draw_sample(settings, ModelCache()))
    assert seen
    assert not any(each.any() for each in seen)


@pytest.mark.slow
def test_a_longer_run_is_estimated_to_take_longer(settings):
    estimates = []
    for epochs in (5, 200):
        settings.training.epochs = epochs
        estimates.append(estimate_time(settings, draw_sample(settings, ModelCache())).seconds)
    assert 0 < estimates[0] < estimates[1]


@pytest.mark.slow
def test_what_the_run_would_not_keep_is_not_kept_in_the_rehearsal(settings, tmp_path):
    settings.model.method, settings.model.unfreeze = "fine_tune", "blocks:2"
    settings.training.epochs = settings.training.head_epochs = 5
    sample = draw_sample(settings, ModelCache())
    settings.cache.limit_gib = 3e-3  # the head's features take 7 MiB, those in front of the last blocks less than one
    assert estimate_time(settings, sample).seconds > 0
    assert len(list((tmp_path / "features").glob("*/kind.json"))) == 1
    settings.cache.limit_gib, settings.cache.folder = 1e-5, str(tmp_path / "none")
    assert estimate_time(settings, sample).seconds > 0
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_stream_of_records_is_rehearsed_with(settings, shared_data):
    settings.data.source, settings.training.epochs = f"tfrecord:{shared_data}/cifar10/*.tfrecord", 2
    assert estimate_time(settings, draw_sample(settings, ModelCache())).seconds > 0
