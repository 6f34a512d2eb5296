"""Tests of tl_keras.labels.unlabelled_training, with a small teacher."""

import copy
import json

import pytest

import tl_keras as tl
from tl_keras.errors import ConfigError, DataError
from tl_keras.experiments.measure import open_run
from tl_keras.labels import unlabelled_training
from tl_keras.labels.self_training import Gain
from tl_keras.labels.unlabelled_training import train_with_unlabelled, with_pseudo_labels
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, read_images


@pytest.fixture
def config(labelling):
    config = copy.deepcopy(labelling.config)
    config.data.source, config.training.epochs = str(labelling.labelled), 2
    return config


@pytest.fixture(scope="module")
def kept(labelling, tmp_path_factory):
    """A run that was trained on pseudo-labels."""
    config, workdir = copy.deepcopy(labelling.config), tmp_path_factory.mktemp("kept") / "run"
    config.data.source, config.training.epochs = str(labelling.labelled), 2
    with pytest.MonkeyPatch.context() as patch:  # the gate has its own tests
        patch.setattr(unlabelled_training, "measure_gain", lambda *_, **__: (Gain(0.6, 0.7, 0.05), 1.0))
        result = train_with_unlabelled(config, workdir, unlabelled=str(labelling.unlabelled))
    return config, workdir, result


@pytest.mark.long
def test_the_result_says_how_many_were_used_from_which_classes_and_what_they_gained(kept):
    _, workdir, result = kept
    facts = json.loads((workdir / "result.json").read_text())["pseudo_labels"]
    assert facts == result.pseudo_labels
    assert facts["kept"] and facts["images"] == 32 and facts["used"] == sum(facts["by_class"].values()) > 15
    assert set(facts["by_class"]) == {"blue", "green", "red"}
    assert facts["left_out"]["labelled"] == facts["left_out"]["copies"] == 1
    assert sum(facts["left_out"].values()) + facts["used"] == 32
    assert "accuracy 0.600 to 0.700" in facts["says"] and f"{facts['used']} of 32 images" in facts["says"]
    assert result.images == {"train": 24, "validation": 6, "test": 6}


def test_the_run_is_opened_reported_and_found_finished_by_its_labelled_images(kept, labelling):
    config, workdir, result = kept
    splits = RunDirectory(workdir).read_splits()
    assert len(splits["train"]) == 24 and len(splits["train_sha256"]) == 24 + result.pseudo_labels["used"]
    assert len(open_run(workdir)[2].train) == 24
    assert result.pseudo_labels["says"][1:] in write_report(workdir).read_text()
    again = train_with_unlabelled(config, workdir, unlabelled=str(labelling.unlabelled))
    assert again.resumed and again.pseudo_labels == result.pseudo_labels


def test_they_change_what_is_learnt_but_not_what_is_measured(kept, config, tmp_path):
    _, workdir, result = kept
    without = tl.train_and_evaluate(config, tmp_path / "without")
    assert without.pseudo_labels is None and without.hashes["student_weights"] != result.hashes["student_weights"]
    ours, theirs = RunDirectory(tmp_path / "without").read_splits(), RunDirectory(workdir).read_splits()
    assert all(ours[name] == theirs[name] for name in ("train", "validation", "test"))


def test_where_they_gain_nothing_the_images_stay_as_they_are_and_it_says_why(config, labelling, monkeypatch):
    monkeypatch.setattr(unlabelled_training, "measure_gain", lambda *_, **__: (Gain(0.6, 0.61, 0.05), 1.0))
    config = decide(config)
    images = read_images(config, ModelCache())
    found = with_pseudo_labels(images, str(labelling.unlabelled), config)
    assert found.splits is images.splits and found.source is images.source
    assert found.pseudo_labels.used == 0 and "dropped, because out of fold" in found.pseudo_labels.describe()
    assert found.recorded_splits() == images.recorded_splits()


@pytest.mark.parametrize("case", ["replicate", "few", "missing"])
def test_what_it_cannot_use_is_refused_in_one_line(case, config, labelling, tmp_path):
    if case == "replicate":
        config.model.method = "replicate"
    if case == "few":
        config.data.train_examples_per_class = 2
    unlabelled = "nowhere" if case == "missing" else str(labelling.unlabelled)
    expected = {
        "replicate": "a pre-trained teacher",
        "few": "3 training images of each",
        "missing": "^unlabelled: nowhere: expected a directory",
    }
    with pytest.raises(ConfigError if case == "replicate" else DataError, match=expected[case]):
        train_with_unlabelled(config, tmp_path / "run", unlabelled=unlabelled)
