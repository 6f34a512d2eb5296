"""Tests of tl_keras.experiments.pruning and of shrink --prune: a real run, small."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from forked_commands import run_command

import tl_keras
from tl_keras.backbones.teacher_files import EXAMPLE
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.experiments import timing
from tl_keras.experiments.folds import train_with_folds
from tl_keras.experiments.pruning import Pruned, describe_pruned, prune
from tl_keras.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A run on noise of two colours, and the same without half of its inner channels; source, directories, what was found."""
    folder = tmp_path_factory.mktemp("pruned")
    images = keras.Input((16, 16, 3))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(32, 3, strides=2)(images)))
    keras.Model(images, keras.layers.ReLU()(keras.layers.Conv2D(16, 3)(x))).save(folder / "teacher.keras")
    preprocess = dataclasses.replace(EXAMPLE, image_size=16)
    (folder / "teacher.preprocess.json").write_text(json.dumps(preprocess.to_json()))
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    pixels = np.clip(random.normal(90 + 60 * labels[:, None, None, None], 60, (60, 16, 16, 3)), 0, 255).astype(np.uint8)
    source = tl_keras.ArraySource(pixels, labels)
    config = tl_keras.TransferConfig(export="none")
    config.model.backbone, config.model.method = str(folder / "teacher.keras"), "feature_extraction"
    config.training.epochs = 3
    tl_keras.train_and_evaluate(config, folder / "run", source=source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_SECONDS_A_TURN", 0.001)
        return source, folder, prune(folder / "run", folder / "small", part=0.5, max_loss=0.3, epochs=2, source=source)


@pytest.mark.slow
def test_the_pruned_run_is_an_ordinary_smaller_one_on_the_same_images(found):
    _, folder, pruned = found
    run, small = (RunDirectory(folder / name).require_result() for name in ("run", "small"))
    assert small.images == run.images
    assert pruned.scores == (run.score, small.score)
    # 16 of 32 channels: their kernel and bias, BatchNorm, and what the next convolution reads.
    assert pruned.parameters[0] - pruned.parameters[1] == 16 * (27 + 1 + 4 + 9 * 16)
    assert small.distillation["teacher_run"] == str(folder / "run")


@pytest.mark.parametrize(
    ("name", "part", "error", "said"),
    [
        ("run", 0.5, ConfigError, "another directory"),
        ("other", 1.0, ConfigError, "above 0 and below 1. Received: 1"),
        ("other", 0.01, BackboneError, "none can be removed"),
    ],
)
def test_what_cannot_be_pruned_is_one_line(found, name, part, error, said):
    source, folder, _ = found
    with pytest.raises(error, match=said):
        prune(folder / "run", folder / name, part=part, source=source)
    assert not (folder / "other").exists()


def test_a_pruned_run_that_was_measured_on_another_split_is_not_compared(found):
    source, folder, _ = found
    file = folder / "small" / "result.json"
    written = file.read_text()
    file.write_text(json.dumps(json.loads(written) | {"test_accuracy": None}))
    with pytest.raises(ConfigError, match=r"expected \d+ images of test, .* Received: \d+ of validation, in .*small"):
        prune(folder / "run", folder / "small", part=0.5, epochs=2, source=source)
    file.write_text(written)


def _run(found, workdir, train, **options):
    """Trains on the images and the teacher of the run, and returns them with a pruned run beside."""
    source, folder, _ = found
    config = tl_keras.TransferConfig(export="none")
    config.model.backbone, config.model.method = str(folder / "teacher.keras"), "feature_extraction"
    config.training.epochs = 2
    train(config, workdir, source=source, **options)
    return prune(workdir, workdir.with_name("small"), part=0.5, epochs=1, source=source)


@pytest.mark.slow
def test_a_run_that_has_not_measured_its_test_images_is_compared_on_those_of_validation(found, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_SECONDS_A_TURN", 0.001)
    pruned = _run(found, tmp_path / "run", tl_keras.train_and_evaluate, measure_test=False)
    assert pruned.split == "validation"
    assert pruned.scores[1] == RunDirectory(pruned.workdir).require_result().validation_score


def test_a_run_whose_folds_left_no_image_is_refused_before_anything_is_trained(found, tmp_path):
    with pytest.raises(ConfigError, match="holds images back"):
        _run(found, tmp_path / "run", train_with_folds, folds=2)
    assert not (tmp_path / "small").exists()


def test_what_loses_too_much_says_so():
    pruned = Pruned("accuracy", "test", (0.9, 0.85), (2_000_000, 1_000_000), (3.0, 2.0), 0.01, "small")
    assert "loses too much, 0.0500, where 0.01 is allowed: small" in describe_pruned(pruned)
    assert describe_pruned(dataclasses.replace(pruned, max_loss=0.05)).endswith("--workdir=small")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prune=0.3"], "--pruned_workdir=NEW_DIRECTORY"),
        (["--prune_epochs=3"], "prune_epochs: expected --prune=PART beside it"),
        (["--prune=1.5", "--pruned_workdir=y"], "Received: 1.5"),
        (["--prune=0.3", "--pruned_workdir=y", "--formats=litert"], "without --formats"),
        (["--prune=0.3", "--pruned_workdir=y"], "x"),
    ],
)
def test_a_mistake_in_what_to_prune_is_one_line(arguments, said):
    done = run_command("shrink", "--workdir=x", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
