"""Tests of tl_keras.advice.automatic: `--method=auto` decides once."""

import dataclasses
import time

import pytest

from tl_keras.advice.automatic import with_advised_method
from tl_keras.advice.candidates import Candidate
from tl_keras.config import ModelConfig, quick_start, resolve, to_json
from tl_keras.errors import ConfigError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.folds import run_of_fold
from tl_keras.runs.reasons import read_decisions
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


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


def test_a_run_whose_folds_alone_have_begun_keeps_it_too(tmp_path):
    begun = automatic()
    begun.model = dataclasses.replace(begun.model, method="fine_tune", unfreeze="blocks:3")
    splits = {"train": ["a"], "validation": ["b"], "test": []}
    fold = run_of_fold(RunDirectory(tmp_path), 0)
    fold.begin(config=to_json(resolve(begun)), data_hash="0", splits=splits, labels=("cat", "dog"))
    assert with_advised_method(automatic(), tmp_path).model.unfreeze == "blocks:3"


@pytest.mark.parametrize("field", ["unfreeze", "unfreeze_schedule"])
def test_a_cut_contradicts_it(tmp_path, field):
    config = automatic()
    setattr(config.model, field, "blocks:2")
    with pytest.raises(ConfigError, match=r"auto chooses the cut\. Received: blocks:2"):
        with_advised_method(config, tmp_path)


@pytest.mark.slow
def test_the_teacher_is_chosen_among_those_at_hand_and_stays(tmp_path, monkeypatch):
    here = (Candidate("MobileNetV2", "embedded"),)
    monkeypatch.setattr("tl_keras.advice.automatic.candidates_at_hand", lambda noun: here)
    config = automatic()
    config.model = ModelConfig(backbone="auto", method="feature_extraction", image_size=32)
    config.data.train_examples_per_class = 8
    decided = with_advised_method(config, tmp_path / "run")
    assert (decided.model.backbone, decided.model.weights) == ("MobileNetV2", "embedded")
    assert (decided.model.method, decided.model.unfreeze) == ("feature_extraction", "")
    assert read_decisions(RunDirectory(tmp_path / "run"))[0].startswith("teacher MobileNetV2:embedded: ")
    splits = {"train": ["a"], "validation": ["b"], "test": []}
    decided.model.resize = "original"  # as if the images had decided so
    begun = to_json(resolve(decided))
    RunDirectory(tmp_path / "run").begin(config=begun, data_hash="0", splits=splits, labels=("cat", "dog"))
    monkeypatch.setattr("tl_keras.advice.automatic.candidates_at_hand", lambda noun: ())
    again = with_advised_method(config, tmp_path / "run").model
    assert (again.weights, again.resize) == ("embedded", "original")


@pytest.mark.parametrize(("budget", "tried"), [(0.001, 1), pytest.param(120.0, 2, marks=pytest.mark.slow)])
def test_advice_and_training_stay_within_the_budget(tmp_path, monkeypatch, small_teacher, capfd, budget, tried):
    here = (Candidate("MobileNetV2", "embedded"), Candidate(str(small_teacher)))
    monkeypatch.setattr("tl_keras.advice.automatic.candidates_at_hand", lambda noun: here)
    config = automatic()
    config.model = ModelConfig(backbone="auto", method="feature_extraction")
    config.data.train_examples_per_class, config.training.epochs = 8, 1
    began, models = time.perf_counter(), ModelCache()
    decided = with_advised_method(config, tmp_path / "run", budget_seconds=budget, models=models)
    said = capfd.readouterr().err
    assert said.count("scored ") == tried
    assert (f"not tried because of the budget: {small_teacher}" in said) == (tried == 1)
    assert ("no run that was rehearsed fits the budget of 0 s; the shortest of them is taken, about" in said) == (
        tried == 1
    )
    if tried == 2:
        train_and_evaluate(decided, tmp_path / "run", models=models)
        assert time.perf_counter() - began < budget


@pytest.mark.parametrize(("field", "value"), [("weights", "embedded"), ("alpha", 0.35)])
def test_weights_belong_to_a_teacher_that_is_named(tmp_path, field, value):
    config = automatic()
    config.model = dataclasses.replace(ModelConfig(backbone="auto"), **{field: value})
    with pytest.raises(ConfigError, match=f"{field}: backbone auto chooses"):
        with_advised_method(config, tmp_path)
