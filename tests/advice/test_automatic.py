"""Tests of tl_keras.advice.automatic: `--method=auto` decides once."""

import dataclasses

import pytest

from tl_keras.advice.automatic import with_advised_method
from tl_keras.config import quick_start, resolve, to_json
from tl_keras.errors import ConfigError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import read_decisions
from tl_keras.training.loop import train_and_evaluate


def automatic():
    config = quick_start()
    config.model.method, config.export = "auto", "none"
    return config


@pytest.mark.slow
def test_it_decides_once_and_the_run_goes_on(tmp_path):
    config = automatic()
    config.training.epochs = config.training.head_epochs = 1
    decided = with_advised_method(config, tmp_path / "run")
    assert decided.model.method in ("feature_extraction", "fine_tune")
    assert any(reason.startswith("recipe: ") for reason in read_decisions(RunDirectory(tmp_path / "run")))
    train_and_evaluate(decided, tmp_path / "run")
    assert with_advised_method(config, tmp_path / "run").model.method == decided.model.method
    assert train_and_evaluate(with_advised_method(config, tmp_path / "run"), tmp_path / "run").resumed


def test_a_run_that_has_begun_keeps_what_was_decided(tmp_path):
    begun = automatic()
    begun.model = dataclasses.replace(begun.model, method="fine_tune", unfreeze="blocks:3")
    begun.training.fine_tune_learning_rate_factor, begun.data.augmentation = 0.1, "none"
    splits = {"train": ["a"], "validation": ["b"], "test": []}
    RunDirectory(tmp_path).begin(config=to_json(resolve(begun)), data_hash="0", splits=splits, labels=("cat", "dog"))
    config = automatic()
    decided = with_advised_method(config, tmp_path)
    assert (decided.model.method, decided.model.unfreeze) == ("fine_tune", "blocks:3")
    assert (decided.training.fine_tune_learning_rate_factor, decided.data.augmentation) == (0.1, "none")
    assert config.model.method == "auto"  # the user's config is as it was


@pytest.mark.parametrize("field", ["unfreeze", "unfreeze_schedule"])
def test_a_cut_contradicts_it(tmp_path, field):
    config = automatic()
    setattr(config.model, field, "blocks:2")
    with pytest.raises(ConfigError, match=r"auto chooses the cut\. Received: blocks:2"):
        with_advised_method(config, tmp_path)
