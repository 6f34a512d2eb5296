"""Tests of tl_keras.experiments.folds: every image is predicted by a model that has not seen it, and trains the last one."""

import csv
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import ConfigError, DataError, WorkdirError
from tl_keras.experiments.folds import fold_of_each, folds_for_few, train_with_folds
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import load_model
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, read_images


@pytest.fixture(scope="module")
def config(small_teacher, tmp_path_factory):
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.cache.folder = 16, str(tmp_path_factory.mktemp("cache"))
    return config


@pytest.fixture(scope="module")
def source():
    """60 labelled images whose brightness tells the class, in groups of three, and 12 for the test."""
    random, labels = np.random.default_rng(0), np.arange(72) // 3 % 2
    pixels = np.clip(random.normal(80 + 90 * labels[:, None, None, None], 40, (72, 16, 16, 3)), 0, 255).astype(np.uint8)
    splits = ["train"] * 60 + ["test"] * 12
    return ArraySource(pixels, labels, splits=splits, groups=np.arange(72) // 3)


@pytest.fixture(scope="module")
def trained(config, source, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("folds") / "run"
    return train_with_folds(config, workdir, folds=3, source=source), RunDirectory(workdir)


@pytest.mark.long
def test_every_labelled_image_is_predicted_once_and_trains_the_last_model(trained, source):
    result, run = trained
    with (run.path / "out_of_fold.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"array:{number}" for number in range(60)]
    assert {row["fold"] for row in rows} == {"1", "2", "3"}
    right = np.mean([row["answer"] == row["label"] for row in rows])
    assert result.folds["accuracy"] == result.validation_score == pytest.approx(right)
    assert result.images == {"train": 60, "validation": 60, "test": 12}
    low, high = result.folds["interval"]
    assert low < right <= high
    assert result.test_score > 0.6  # of brightness, by random features
    groups = {}
    for row in rows:
        groups.setdefault(int(row["image"].split(":")[1]) // 3, set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in groups.values())


def test_a_fold_never_sees_what_it_holds_out(trained, source):
    _, run = trained
    for each in range(1, 4):
        splits = RunDirectory(run.path / "folds" / f"fold_{each}").read_splits()
        assert not set(splits["test"]) & {*splits["train"], *splits["validation"]}
        used = [*splits["train"], *splits["validation"], *splits["test"]]
        assert not {f"array:{number}" for number in range(60, 72)} & {*used}
    heads = [
        RunDirectory(run.path / "folds" / f"fold_{each}").require_result().hashes["student_weights"]
        for each in (1, 2, 3)
    ]
    assert len(set(heads)) == 3  # a head that another fold has trained would have seen the images


def test_the_epochs_of_the_last_run_have_the_scores_of_the_folds(trained):
    _, run = trained
    last = run.read_epochs(at_least=1)
    folds = [RunDirectory(run.path / "folds" / f"fold_{each}").read_epochs(at_least=1) for each in (1, 2, 3)]
    for number, epoch in enumerate(last):
        assert epoch.validation_loss == pytest.approx(np.mean([fold[number].validation_loss for fold in folds]))


def test_folds_that_stop_early_are_read_at_their_place_in_the_schedule(config, source, tmp_path):
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, early_stopping_patience=1))
    config.training.learning_rate = 1.0  # so that the first epochs are the best
    train_with_folds(config, tmp_path / "run", folds=2, source=source)
    folds = [RunDirectory(tmp_path / "run" / "folds" / f"fold_{each}").read_epochs() for each in (1, 2)]
    assert min(len(fold) for fold in folds) < config.training.epochs
    for number, epoch in enumerate(RunDirectory(tmp_path / "run").read_epochs()):
        reached = [fold[min(number, len(fold) - 1)].validation_loss for fold in folds]
        assert epoch.validation_loss == pytest.approx(np.mean(reached))


def test_the_same_call_says_that_it_is_done_and_others_are_refused(trained, config, source):
    result, run = trained
    again = train_with_folds(config, run.path, folds=3, source=source)
    assert again.resumed and again.folds == result.folds
    with pytest.raises(WorkdirError, match=r"begun with 3 folds. Use another"):
        train_with_folds(config, run.path, folds=4, source=source)


def test_a_run_that_was_killed_goes_on_and_no_run_without_folds_does(config, source, tmp_path, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(
            "tl_keras.experiments.folds.write_predictions", killed
        )  # the folds are over, the last run has not begun
        train_with_folds(config, tmp_path / "run", folds=2, source=source)
    with pytest.raises(WorkdirError, match="expected a run without folds"):
        train_and_evaluate(config, tmp_path / "run", source=source)
    result = train_with_folds(config, tmp_path / "run", folds=2, source=source)
    assert result.folds["number"] == 2


def test_what_is_to_be_known_of_the_images_is_said_once(config, source, tmp_path, capsys):
    train_with_folds(config, tmp_path / "run", folds=2, source=source)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("data: ")]
    assert said
    assert len(said) == len(set(said))


@pytest.mark.long
def test_the_report_and_the_export_are_of_the_last_model(config, source, tmp_path):
    config = TransferConfig(model=config.model, training=config.training, cache=config.cache, export="saved_model")
    labelled = ArraySource(
        source.read(tf.range(60, dtype=tf.int64)).numpy(), source.labels[:60], groups=np.arange(60) // 3
    )
    result = train_with_folds(config, tmp_path / "run", folds=2, source=labelled)
    assert result.test_score is None and result.split == "validation"
    assert load_model(tmp_path / "run" / "model.keras").statistics.threshold_of == "training"
    page = write_report(tmp_path / "run", source=labelled).read_text()
    assert "Train and validation are the same images here" in page and "also chose the epoch" not in page
    assert "Trained on all 60 labelled images" in page and "Out of fold, each answered by a model" in page
    served = tf.saved_model.load(str(tmp_path / "run" / "saved_model" / "1"))
    answers = served.signatures["serving_default"](image_bytes=tf.constant([labelled.encoded_image(0)]))
    assert answers["label"].numpy()[0].decode() in ("0", "1")


def test_what_cannot_be_folded_is_refused(config, source, tmp_path):
    few = TransferConfig(model=config.model, training=config.training)
    few.data.train_examples_per_class = 5
    with pytest.raises(ConfigError, match="folds: expected to train on all labelled images"):
        train_with_folds(few, tmp_path / "few", source=source)
    images = read_images(decide(config, source=source), ModelCache(), source=source)
    with pytest.raises(DataError, match="expected at least 30 groups"):
        fold_of_each(images, folds=30, seed=0)
    images.source.labels[images.splits.train[0]] = 2
    images.source.class_names = ("0", "1", "2")
    with pytest.raises(DataError, match=r"at least two groups of every class.* Received one of 2"):
        fold_of_each(images, folds=3, seed=0)


def _undeclared(images, *, classes=2):
    random = np.random.default_rng(0)
    return ArraySource(random.integers(0, 256, (images, 16, 16, 3), np.uint8), np.arange(images) % classes)


def test_few_images_without_a_test_of_their_own_are_given_folds(config, tmp_path, capsys):
    assert folds_for_few(config, tmp_path, models=ModelCache(), source=_undeclared(60)) == 5
    assert "folds: 5, since 9 test images would tell an accuracy to ±0.2" in capsys.readouterr().err
    assert folds_for_few(config, tmp_path, models=ModelCache(), source=_undeclared(12, classes=4)) == 5
    assert "folds: 5, since none would be tested; --folds=0" in capsys.readouterr().err


@pytest.mark.parametrize("images", [520, 600])
def test_images_whose_test_decides_are_not(config, tmp_path, images):
    assert folds_for_few(config, tmp_path, models=ModelCache(), source=_undeclared(images)) == 0


def test_few_images_whose_test_is_declared_are_not(config, source, tmp_path):
    assert folds_for_few(config, tmp_path, models=ModelCache(), source=source) == 0


def test_few_images_that_cannot_be_dealt_are_not(config, tmp_path, capsys):
    assert folds_for_few(config, tmp_path, models=ModelCache(), source=_undeclared(12, classes=11)) == 0
    assert "folds: none, since a class has too few images" in capsys.readouterr().err


def test_a_run_that_has_begun_goes_on_as_it_began(config, source, trained, tmp_path):
    _, run = trained
    assert folds_for_few(config, run.path, models=ModelCache(), source=_undeclared(60)) == 3
    train_and_evaluate(config, tmp_path / "run", source=source)
    assert folds_for_few(config, tmp_path / "run", models=ModelCache(), source=_undeclared(60)) == 0
