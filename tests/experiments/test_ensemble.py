"""Tests of tl_keras.experiments.ensemble: one model that answers by the average of the folds."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig, TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import ConfigError
from tl_keras.experiments.ensemble import average_of
from tl_keras.experiments.folds import train_with_folds
from tl_keras.experiments.measure import evaluate_model
from tl_keras.heads import scale_features
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.serving.model_file import load_model
from tl_keras.serving.predictor import predict_images


@pytest.fixture(scope="module")
def config(small_teacher, tmp_path_factory):
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.cache.folder = 8, str(tmp_path_factory.mktemp("cache"))
    return config


@pytest.fixture(scope="module")
def source():
    """60 labelled images whose brightness tells the class, and 20 for the test."""
    random, labels = np.random.default_rng(0), np.arange(80) % 2
    pixels = np.clip(random.normal(80 + 90 * labels[:, None, None, None], 40, (80, 16, 16, 3)), 0, 255).astype(np.uint8)
    return ArraySource(pixels, labels, splits=["train"] * 60 + ["test"] * 20)


@pytest.fixture(scope="module")
def run(config, source, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("ensemble") / "run"
    train_with_folds(config, workdir, folds=2, source=source, ensemble=True)
    return RunDirectory(workdir)


@pytest.mark.long
def test_its_logits_are_the_average_of_the_folds(run, source):
    pixels = np.stack([element["image"].numpy() for element in source.images(np.arange(60, 80))]).astype(np.float32)
    folds = [load_model(run.path / "folds" / f"fold_{each}" / "model.keras").model.predict(pixels) for each in (1, 2)]
    ensemble = load_model(run.path / "ensemble" / "model.keras").model.predict(pixels)
    np.testing.assert_allclose(ensemble, np.mean(folds, axis=0), atol=1e-4)


def test_features_that_are_centred_and_scaled_are_so_in_the_average(small_teacher):
    model = ModelConfig(backbone=str(small_teacher), method="feature_extraction", unfreeze="none", pooling="max")
    students = [build_student(choose_backbone(model), model, num_classes=3, seed=seed) for seed in (0, 1)]
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *students[0].preprocess.network_shape)).astype(np.float32)
    for student in students:
        features = keras.Model(student.model.input, student.model.get_layer("features").output)
        scale_features(student.head, [features.predict(pixels)])
    apart = np.mean([student.model.predict(pixels) for student in students], axis=0)
    np.testing.assert_allclose(average_of(students).predict(pixels), apart, atol=1e-4)


@pytest.mark.long
def test_it_is_measured_on_the_test_images_exported_and_answers_like_a_run(run, source):
    written = json.loads((run.path / "ensemble" / "soup.json").read_text())
    assert written["validation_accuracy"] == run.require_result().folds["accuracy"]
    metrics = evaluate_model(run.path / "ensemble", source)
    assert written["test_accuracy"] == pytest.approx(metrics["accuracy"]) and metrics["trained_on"] == 0
    export_run(run.path / "ensemble", ["saved_model"])
    (row,) = export_run(run.path / "ensemble", ["litert_int8"], source=source)
    assert row["top_1_agreement"] >= 0.8
    image = np.full((16, 16, 3), 200, np.uint8)
    own, exported = (predict_images(run.path / "ensemble" / form, [image])[0] for form in (".", "saved_model"))
    assert own["score"] == pytest.approx(exported["score"], abs=1e-5)


def test_the_same_call_makes_nothing_twice(run, config, source):
    made = run.path / "ensemble" / "model.keras"
    before = made.stat().st_mtime_ns
    train_with_folds(config, run.path, folds=2, source=source, ensemble=True)
    assert made.stat().st_mtime_ns == before


def test_heads_that_cannot_be_averaged_are_refused_before_anything_trains(config, source, tmp_path):
    mlp = dataclasses.replace(config, model=dataclasses.replace(config.model, head="mlp"))
    with pytest.raises(ConfigError, match="expected --head=linear"):
        train_with_folds(mlp, tmp_path / "run", folds=2, source=source, ensemble=True)
    assert not (tmp_path / "run" / "folds").exists()
