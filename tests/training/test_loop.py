"""Tests of tl_keras.training.loop: whole runs, small and real."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from forked_commands import run_command, start_command

from tl_keras.builder import choose_backbone, load_backbone
from tl_keras.config import ModelConfig, quick_start
from tl_keras.data.arrays import ArraySource
from tl_keras.data.sources import open_source
from tl_keras.errors import BackboneError, ConfigError, DataError, ExportError, WorkdirError
from tl_keras.experiments.measure import evaluate_run
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import load_model
from tl_keras.training.freeze_check import FreezeCheck
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache

FILES = {
    "config.json",
    "splits.json",
    "metrics.jsonl",
    "result.json",
    "labels.txt",
    "model.keras",
    "proof.npz",
    "logits.npz",
}


def a_config(**changes):
    """Returns the quick start, shortened, with dotted fields replaced."""
    config = quick_start()
    fields = {
        "model.method": "feature_extraction",
        "training.epochs": 2,
        "training.head_epochs": 2,
        "data.train_examples_per_class": 5,
    }
    for name, value in {**fields, **{name.replace("__", "."): value for name, value in changes.items()}}.items():
        *parents, last = name.split(".")
        part = config
        for parent in parents:
            part = getattr(part, parent)
        setattr(part, last, value)
    return config


@pytest.fixture(scope="module")
def models():
    """What the runs in this process share; those that are killed, in processes of their own, share nothing."""
    return ModelCache()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, models):
    """A finished run: its directory and its result."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    return workdir, train_and_evaluate(a_config(), workdir, models=models)


@pytest.mark.long
def test_the_directory_holds_what_it_should(finished):
    workdir, _ = finished
    names = {path.name for path in workdir.iterdir()}
    assert names == FILES | {"saved_model", "checkpoints", "logs", ".lock"}
    assert len((workdir / "metrics.jsonl").read_text().splitlines()) == 2
    assert (workdir / "labels.txt").read_text().split() == list("0123456789")


def test_the_result_says_what_was_done(finished):
    workdir, result = finished
    written = json.loads((workdir / "result.json").read_text())
    assert written == result.to_json()
    assert not result.resumed
    assert 0.5 < written["test_accuracy"] <= 1
    assert written["parameters_trained"] == 1280 * 10 + 10
    assert written["parameters_frozen"] == 410_208
    assert list(written["seconds"]) == ["preparing", "head", "evaluating", "packaging", "exporting"]
    assert written["images"]["train"] == 50


def test_the_result_says_when_each_accuracy_was_reached(finished):
    reached = finished[1].time_to_accuracy
    assert reached[-1]["validation_accuracy"] >= finished[1].validation_accuracy
    assert finished[1].seconds["preparing"] < reached[0]["seconds"]
    assert reached[-1]["seconds"] <= finished[1].total_seconds + 0.01


def test_the_frozen_teacher_is_bit_identical_afterwards(finished):
    from tl_keras.backbones.weights import fingerprint

    workdir, result = finished
    backbone = load_model(workdir / "model.keras").model.get_layer("backbone")
    assert fingerprint(backbone) == result.hashes["teacher_weights"]


def test_the_splits_name_every_image_once(finished):
    splits = json.loads((finished[0] / "splits.json").read_text())
    named = [image for split in ("train", "validation", "test") for image in splits[split]]
    assert len(named) == len(set(named))
    assert len(splits["test"]) == finished[1].images["test"]


def test_model_keras_loads_in_plain_keras(finished):
    model = keras.models.load_model(finished[0] / "model.keras")
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)


def test_a_finished_run_is_left_alone(finished):
    workdir, result = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    assert train_and_evaluate(a_config(), workdir) == dataclasses.replace(result, resumed=True)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_the_config_written_leaves_nothing_open(finished):
    config = json.loads((finished[0] / "config.json").read_text())["config"]
    assert (config["model"]["image_size"], config["model"]["alpha"]) == (32, 0.35)
    assert config["training"]["learning_rate"] > 0


def test_another_config_is_refused(finished):
    with pytest.raises(WorkdirError, match=r"training\.epochs: 2 there, 3 now"):
        train_and_evaluate(a_config(training__epochs=3), finished[0])


def test_the_saved_model_answers_as_the_model_does(finished):
    from tl_keras.serving.predictor import load_predictor

    workdir, result = finished
    assert result.export[0]["largest_difference"] <= 1e-5
    source = open_source("digits")
    images = source.images(np.arange(64)).map(lambda element: element["image"])
    by_model = load_predictor(workdir).probabilities(images, batch_size=16)
    by_saved_model = load_predictor(workdir / "saved_model").probabilities(images, batch_size=64)
    np.testing.assert_allclose(by_model, by_saved_model, atol=1e-5)


@pytest.mark.long
def test_evaluate_gives_the_accuracy_of_the_result(finished):
    from tl_keras.experiments.measure import evaluate_model

    workdir, result = finished
    digits = open_source("digits")
    test = json.loads((workdir / "splits.json").read_text())["test"]
    chosen = [digits.ids.index(image) for image in test]
    pixels = np.stack([element["image"].numpy() for element in digits.images(np.sort(chosen))])
    source = ArraySource(pixels, digits.labels[np.sort(chosen)])
    assert evaluate_model(workdir, source)["accuracy"] == pytest.approx(result.test_accuracy, abs=1e-6)


def test_a_split_that_the_source_does_not_declare_cannot_be_evaluated(finished):
    from tl_keras.experiments.measure import evaluate_model

    with pytest.raises(
        DataError, match=r"split: expected one that the source declares \(it declares none\)\. Received: dev"
    ):
        evaluate_model(finished[0], "digits", split="dev")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data.source": "no/such/directory"}, DataError, "no/such/directory"),
        ({"model.backbone": "MobileNetV4"}, BackboneError, "Did you mean MobileNetV2"),
        ({"model.method": "transfer"}, ConfigError, "method"),
        ({"model.image_size": 31}, BackboneError, "32 pixels or more"),
        ({"training.global_batch_size": 0}, ConfigError, "batch_size"),
        ({"model.method": "fine_tune", "model.unfreeze": "from:nowhere"}, BackboneError, "nowhere"),
        ({"model.weights": "missing.weights.h5"}, BackboneError, "missing.weights.h5"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, changes, error, message):
    with pytest.raises(error, match=message) as raised:
        train_and_evaluate(a_config(**changes), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("folders", [[], ["only"]])
def test_no_images_or_one_class_is_one_line_and_nothing_is_written(tmp_path, folders):
    (tmp_path / "photos").mkdir()
    for folder in folders:
        (tmp_path / "photos" / folder).mkdir()
        (tmp_path / "photos" / folder / "a.png").write_bytes(open_source("digits").encoded_image(0))
    with pytest.raises(DataError) as raised:
        train_and_evaluate(a_config(**{"data.source": str(tmp_path / "photos")}), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_architecture_are_one_line_and_nothing_is_written(tmp_path):
    other = keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), include_top=False, weights=None)
    other.save_weights(tmp_path / "other.weights.h5")
    config = a_config(
        **{"model.weights": str(tmp_path / "other.weights.h5"), "model.alpha": 0.35, "model.image_size": 32}
    )
    with pytest.raises(BackboneError, match="does not fit"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def mounted(folder, size):
    """Mounts a small file system, or makes one that is mounted larger."""
    options = f"remount,size={size}" if os.path.ismount(folder) else f"size={size}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a small file system: {done.stderr.decode().strip()}")


def test_a_full_disk_is_one_line_and_what_was_written_is_whole(tmp_path, models):
    mounted(tmp_path, "1m")
    try:
        with pytest.raises(WorkdirError, match="disk is full"):
            train_and_evaluate(a_config(), tmp_path / "run", models=models)
        assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["seed"] == 0
        assert [path.name for path in (tmp_path / "run").rglob(".*") if path.is_file()] == [".lock"]
        assert not (tmp_path / "run" / "result.json").exists()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.slow
def test_where_an_export_fills_the_disk_the_run_is_finished_and_exported_later(tmp_path, models):
    mounted(tmp_path, "3m")
    try:
        with pytest.raises(ExportError, match=r"disk is full .* The run is finished"):
            train_and_evaluate(a_config(), tmp_path / "run", models=models)
        assert json.loads((tmp_path / "run" / "result.json").read_text())["test_accuracy"] > 0
        assert not (tmp_path / "run" / "saved_model").exists()
        mounted(tmp_path, "64m")
        assert train_and_evaluate(a_config(), tmp_path / "run", models=models).export[0]["path"] == "saved_model/1"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


FINE_TUNE = ["--method=fine_tune", "--config.training.head_epochs=20", "--epochs=2", "--export=none", "--noreport"]
EACH_EPOCH = "from tl_keras.training import callbacks; callbacks._SECONDS_BETWEEN_CHECKPOINTS = 0.0"


def epochs_done(workdir: pathlib.Path) -> int:
    metrics = workdir / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


@pytest.mark.long
def test_a_run_killed_in_each_phase_ends_as_one_that_was_not(tmp_path, small_teacher):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = [*FINE_TUNE, f"--backbone={small_teacher}"]
    assert run_command("train", f"--workdir={whole}", *options).returncode == 0
    for epoch in (1, 21):  # in the head's phase, then in fine-tuning
        process = start_command("train", f"--workdir={killed}", *options, before=EACH_EPOCH)
        while epochs_done(killed) < epoch or not RunDirectory(killed).checkpoint.exists():
            assert process.is_alive()
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert run_command("train", f"--workdir={killed}", *options).returncode == 0
    expected, found = (json.loads((path / "result.json").read_text()) for path in (whole, killed))
    for name in ("validation_accuracy", "test_accuracy", "validation_loss", "kept_epoch", "freeze_proof", "hashes"):
        assert found[name] == expected[name]
    assert epochs_done(killed) == epochs_done(whole) == 22


@pytest.mark.parametrize(("epochs", "patience"), [(2, 0), (12, 1)])
def test_a_run_killed_before_its_last_proof_still_gives_it(tmp_path, models, monkeypatch, epochs, patience):
    config = a_config(training__epochs=epochs, training__early_stopping_patience=patience, export="none")
    monkeypatch.setattr("tl_keras.training.callbacks._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(FreezeCheck, "on_train_end", lambda self, logs=None: sys.exit("killed"))
        with pytest.raises(SystemExit, match="killed"):
            train_and_evaluate(config, tmp_path / "run", models=models)
    result = train_and_evaluate(config, tmp_path / "run", models=models)
    assert [proof["phase"] for proof in result.freeze_proof] == ["head"]


def test_digits_are_not_mirrored_unless_it_is_asked_for(tmp_path, models, small_teacher, capsys):
    changes = {"data__augmentation": "light", "data__train_examples_per_class": 10, "export": "none"}
    changes |= {"model__backbone": str(small_teacher), "model__weights": "imagenet"}
    config = a_config(**changes, data__horizontal_flip="auto", training__epochs=1)
    train_and_evaluate(config, tmp_path / "run", models=models)
    assert "not mirrored in training: a linear classifier" in capsys.readouterr().err
    written = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert written["data"]["horizontal_flip"] == "off"
    assert train_and_evaluate(config, tmp_path / "run", models=models).resumed
    asked = a_config(**changes, data__horizontal_flip="on", training__epochs=1)
    with pytest.raises(WorkdirError, match="horizontal_flip: off there, on now"):
        train_and_evaluate(asked, tmp_path / "run", models=models)


@pytest.mark.slow
def test_every_regulariser_at_once(tmp_path, models):
    config = a_config(
        model__method="fine_tune",
        model__unfreeze_schedule="blocks:1@0,blocks:2@1",
        model__batch_norm="recalibrate",
        training__layer_decay=0.7,
        training__teacher_decay=0.01,
        training__ema_momentum=0.9,
        training__label_smoothing=0.1,
        training__class_weights="balanced",
        training__find_learning_rate=True,
        data__augmentation="light",
        data__augmented_views=1,
        export="none",
    )
    result = train_and_evaluate(config, tmp_path / "run", models=models)
    assert [proof["phase"] for proof in result.freeze_proof] == [
        "head",
        "fine-tuning blocks:1",
        "fine-tuning blocks:2",
    ]
    phases = [proof["phase"] for proof in result.freeze_proof]
    assert list(result.seconds) == ["preparing", *phases, "evaluating", "packaging"]
    # What was evaluated, an average of the weights, is what was kept and written.
    measured = evaluate_run(tmp_path / "run", split="validation")
    assert measured["accuracy"] == pytest.approx(result.validation_accuracy, abs=1e-6)
    assert result.test_accuracy > 0.3


@pytest.mark.parametrize("method", ["feature_extraction", pytest.param("fine_tune", marks=pytest.mark.slow)])
def test_a_part_of_a_teacher_with_the_largest_values_goes_from_training_into_the_export(tmp_path, models, method):
    config = a_config(model__output_stride=8, model__pooling="max", model__image_size=32, model__method=method)
    config.export = "saved_model"
    train_and_evaluate(config, tmp_path / "run", models=models)  # an export that answers otherwise is an error
    model = load_model(tmp_path / "run" / "model.keras").model
    assert model.get_layer("backbone").output_shape[1:3] == (4, 4)
    assert type(model.get_layer("features")).__name__ == "GlobalMaxPooling2D"
    assert abs(model.get_layer("scale").moving_mean.numpy()).min() > 0
    assert not model.get_layer("scale").trainable
    teacher = choose_backbone(ModelConfig(backbone=str(tmp_path / "run" / "model.keras")))
    assert teacher.spec.name == "model"  # part of MobileNetV2, so not known as MobileNetV2
    assert load_backbone(teacher).output_shape[1:3] == (4, 4)
    write_report(tmp_path / "run")
