"""Tests of tl_keras.training.loaded_run: a finished run answers as it did when it was measured."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.errors import WorkdirError
from tl_keras.training.loaded_run import load_run
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


@pytest.mark.long
def test_a_loaded_run_measures_what_the_run_measured(small_teacher, tmp_path):
    config = TransferConfig(export="none")
    config.data.source, config.data.train_examples_per_class = "digits", 5
    config.model.backbone, config.model.method, config.model.unfreeze = str(small_teacher), "fine_tune", "all"
    config.training.epochs = config.training.head_epochs = 1
    config.cache.folder, models = str(tmp_path / "cache"), ModelCache()
    result = train_and_evaluate(config, tmp_path / "run", models=models)
    for cache in (models, ModelCache()):
        loaded = load_run(tmp_path / "run", cache)
        task, splits = loaded.prepared.task, loaded.prepared.splits
        assert loaded.score(splits.test, task=loaded.answering) == result.test_accuracy
        assert loaded.score(splits.validation, task=task) == pytest.approx(result.validation_accuracy, abs=1e-7)
    features, logits = loaded.predict(loaded.prepared.splits.validation[:3])
    assert (features.shape, logits.shape) == ((3, 16), (3, 10))
    assert np.isfinite(logits).all()


def test_numbers_are_measured_as_they_are_answered(small_teacher, tmp_path):
    random = np.random.default_rng(0)
    pixels, numbers = random.integers(0, 256, (60, 16, 16, 3)).astype(np.uint8), random.normal(0, 1, 60)
    config = TransferConfig(export="none", task="regression")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.cache.folder = 20, str(tmp_path / "cache")
    parts = {"x_train": pixels[:40], "y_train": numbers[:40], "x_test": pixels[40:], "y_test": numbers[40:]}
    np.savez(tmp_path / "images.npz", **parts)
    config.data.source, models = f"npz:{tmp_path}/images.npz", ModelCache()
    result = train_and_evaluate(config, tmp_path / "run", models=models)
    loaded = load_run(tmp_path / "run", models)
    test = loaded.prepared.splits.test
    assert loaded.score(test, task=loaded.answering) == pytest.approx(result.test_score, abs=1e-6)
    assert loaded.score(test, task=loaded.prepared.task) < result.test_score  # of chance nothing holds


def test_a_directory_without_a_run_is_one_line(tmp_path):
    with pytest.raises(WorkdirError, match="expected a run directory"):
        load_run(tmp_path, ModelCache())
