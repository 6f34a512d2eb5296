"""Tests of tl_keras.training.loaded_run: a finished run answers as it did when it was measured."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.errors import WorkdirError
from tl_keras.training.loaded_run import load_run
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


def test_a_loaded_run_measures_what_the_run_measured(small_teacher, tmp_path):
    config = TransferConfig(export="none")
    config.data.source, config.data.train_examples_per_class = "digits", 5
    config.model.backbone, config.model.method, config.model.unfreeze = str(small_teacher), "fine_tune", "all"
    config.training.epochs = config.training.head_epochs = 1
    config.cache.folder, models = str(tmp_path / "cache"), ModelCache()
    result = train_and_evaluate(config, tmp_path / "run", models=models)
    for cache in (models, ModelCache()):
        loaded = load_run(tmp_path / "run", cache)
        assert loaded.score(loaded.prepared.splits.test) == result.test_accuracy
        assert loaded.score(loaded.prepared.splits.validation) == pytest.approx(result.validation_accuracy, abs=1e-7)
    features, logits = loaded.predict(loaded.prepared.splits.validation[:3])
    assert (features.shape, logits.shape) == ((3, 16), (3, 10))
    assert np.isfinite(logits).all()


def test_a_directory_without_a_run_is_one_line(tmp_path):
    with pytest.raises(WorkdirError, match="expected a run directory"):
        load_run(tmp_path, ModelCache())
