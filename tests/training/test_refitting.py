"""Tests of tl_keras.training.refitting: training begins again on all labelled images, where test images measure the model."""

import copy
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.config.options import set_value
from tl_keras.data.arrays import ArraySource
from tl_keras.data.sources import open_source
from tl_keras.experiments.measure import evaluate_model
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import Progress
from tl_keras.runs.stopwatch import AFTER_LAST_EPOCH
from tl_keras.serving.model_file import load_model
from tl_keras.training import refitting
from tl_keras.training.inputs import open_inputs
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.optimizers import optimizer_to_json
from tl_keras.training.phase_runner import train_unwatched
from tl_keras.training.preparation import decide, prepare
from tl_keras.training.refitting import images_of_refit


@pytest.fixture(scope="module")
def settings(small_teacher, tmp_path_factory):
    """Returns a config that fine-tunes on 40 bright and dark images; 20 others are for testing."""
    folder = tmp_path_factory.mktemp("bright_and_dark")
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    images = (random.integers(0, 200, (60, 16, 16, 3)) + 50 * labels[:, None, None, None]).astype(np.uint8)
    parts = {"x_train": images[:40], "y_train": labels[:40], "x_test": images[40:], "y_test": labels[40:]}
    np.savez(folder / "images.npz", **parts)
    np.savez(folder / "untested.npz", x_train=images[:40], y_train=labels[:40])
    config = TransferConfig(export="none")
    config.data.source, config.cache.folder = f"npz:{folder}/images.npz", str(folder / "cache")
    config.model.backbone = str(small_teacher)
    config.training.refit = "auto"
    config.training.epochs, config.training.head_epochs = 5, 8
    return config


@pytest.fixture
def config(settings):
    """Returns the settings, to be changed."""
    return copy.deepcopy(settings)


@pytest.fixture(scope="module")
def refitted(settings, tmp_path_factory):
    """A run of these settings, which is only read: its directory and its result."""
    workdir = tmp_path_factory.mktemp("refitted") / "run"
    return workdir, train_and_evaluate(copy.deepcopy(settings), workdir)


@pytest.mark.slow
def test_validation_images_train_in_the_end_and_tell_their_score_before(config, refitted):
    workdir, result = refitted
    held_back = result.images["validation"]
    of_head, of_last = 8, result.kept_epoch - 8
    assert result.kept_phase == "fine-tuning" and result.refit == {"epochs": of_head + of_last, "images": 40}
    assert result.images["train"] == 40 - held_back
    assert [proof["phase"] for proof in result.freeze_proof[-2:]] == ["head, all images", "fine-tuning, all images"]
    assert result.seconds["all images"] > 0
    until = sum(spent for part, spent in result.seconds.items() if part not in AFTER_LAST_EPOCH)
    assert until == pytest.approx(RunDirectory(workdir).read_epochs()[-1].elapsed_seconds, abs=1.5)
    assert len(json.loads((workdir / "splits.json").read_text())["train_sha256"]) == 40
    run = RunDirectory(workdir)
    assert result.validation_score == run.read_epochs()[result.kept_epoch - 1].validation_score
    assert load_model(run.model).statistics.threshold_of == "test"
    measured = evaluate_model(workdir, config.data.source)
    assert measured["accuracy"] == pytest.approx(result.test_score)
    (note,) = evaluate_model(workdir, config.data.source, split="train")["notes"]
    assert "trained on 40 of 40 images" in note and "leave out those under train and validation" in note
    again = train_and_evaluate(config, workdir)
    assert again.resumed and again.refit == result.refit


@pytest.mark.long
def test_a_run_that_is_stopped_while_it_trains_again_ends_with_the_same_weights(
    config, refitted, tmp_path, monkeypatch
):
    _, whole = refitted

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(refitting, "train_unwatched", stopped)
        train_and_evaluate(config, tmp_path / "run")
    resumed = train_and_evaluate(config, tmp_path / "run")
    assert resumed.resumed and resumed.hashes["student_weights"] == whole.hashes["student_weights"]
    assert resumed.refit == whole.refit


def test_the_page_says_what_the_model_has_trained_on(refitted, tmp_path):
    page = write_report(refitted[0], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Trained on 40 images (training and validation) of 2 classes" in page
    assert "by the weights before training began again with these images too" in page
    assert "the first two train in the end" in page
    assert "which chose the epoch" not in page and "training sees the first alone" not in page


def test_numbers_train_again_in_the_unit_in_which_they_are_answered(config):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)
    prices = np.geomspace(1.0, 1e6, 60)  # of which a few decide mean and deviation
    source = ArraySource(pixels, prices)
    config.task, config.data.source, config.data.test_fraction = "regression", "", 0.2
    prepared = prepare(decide(config, source=source), ModelCache(), source=source)
    splits = prepared.splits
    labelled = np.sort(np.concatenate([splits.train, splits.validation]))
    images = dataclasses.replace(prepared.images, splits=dataclasses.replace(splits, train=labelled))
    targets = prepared.on(images, prepared.phases).targets(source.labels[labelled])
    answers = prepared.task.probabilities(targets).numpy()
    np.testing.assert_allclose(answers, source.labels[labelled], rtol=1e-3, atol=1.0)


REFIT = {
    "as it is": ({}, True),
    "the option": ({"training.refit": "off"}, False),
    "no test images": ({"data.source": "npz:{folder}/untested.npz"}, False),
    "the head alone": ({"model.method": "feature_extraction"}, True),
    "no teacher": ({"model.method": "replicate"}, False),
    "an optimizer of Keras": ({"training.optimizer": optimizer_to_json("sgd")}, False),
}


@pytest.mark.parametrize(("changes", "expected"), REFIT.values(), ids=REFIT)
def test_validation_images_stay_out_where_asked_or_where_nothing_else_measures(config, changes, expected):
    folder = pathlib.Path(config.data.source.removeprefix("npz:")).parent
    for name, value in changes.items():
        set_value(config, name, value.format(folder=folder) if name == "data.source" else value)
    assert images_of_refit(prepare(decide(config), ModelCache())) == (40 if expected else 0)


def test_images_that_no_training_has_seen_stand_for_new_ones(config, refitted, tmp_path):
    known = load_model(refitted[0] / "model.keras").statistics
    assert known.reference.shape[0] == 20  # the test images
    config.training.refit = "off"
    held_back = train_and_evaluate(config, tmp_path / "off").images["validation"]
    assert load_model(tmp_path / "off" / "model.keras").statistics.reference.shape[0] == held_back != 20


def test_it_is_the_training_of_a_run_that_holds_nothing_back(config, tmp_path):
    """The same images in the same order from the same weights, so that the weights at the end are those of such a run."""
    source = open_source(config.data.source)
    config.model.method, config.training.epochs = "feature_extraction", 6
    result = train_and_evaluate(config, tmp_path / "run", source=source)
    prepared = prepare(decide(config), ModelCache(), source=source)
    splits = dataclasses.replace(prepared.splits, train=np.arange(40))
    on_all = dataclasses.replace(prepared, images=dataclasses.replace(prepared.images, splits=splits))
    (phase,), (inputs,) = on_all.phases, open_inputs(on_all)
    train_unwatched(on_all, phase, inputs, Progress(), epochs=result.kept_epoch)
    kernel = on_all.student.model.get_layer("logits").get_weights()[0]
    np.testing.assert_array_equal(
        load_model(tmp_path / "run" / "model.keras").model.get_layer("logits").get_weights()[0], kernel
    )
