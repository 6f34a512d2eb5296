"""Tests of tl_keras.serving.view_averaging, and of every way in which a model answers over several views."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from forked_commands import run_command

from tl_keras.errors import ConfigError
from tl_keras.experiments.measure import as_text, evaluate_model
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.serving.predictor import load_predictor, predict_images, with_views
from tl_keras.serving.view_averaging import averaged_over_views

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """Two outputs that depend on where things are: the left half's mean, and the middle pixel's red."""
    images = keras.Input((16, 16, 3))
    left = keras.ops.mean(images[:, :, :8], axis=(1, 2))
    return keras.Model(images, [left, images[:, 8, 8, :1]])


def test_a_mirror_image_counts_as_much_as_the_image(model):
    left, middle = averaged_over_views(model, "mirror").predict(PIXELS, verbose=0)
    np.testing.assert_allclose(left, PIXELS.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(middle[:, 0], PIXELS[:, 8, 7:9, 0].mean(axis=1), rtol=1e-5)


def test_crops_are_the_middle_and_the_corners_at_the_size_of_the_input(model):
    _, middle = averaged_over_views(model, "crops").predict(PIXELS, verbose=0)
    crops = [PIXELS[:, top : top + 14, left : left + 14] for top, left in ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2))]
    expected = np.mean([tf.image.resize(crop, (16, 16))[:, 8, 8, 0] for crop in crops], axis=0)
    np.testing.assert_allclose(middle[:, 0], expected, rtol=1e-5)


def test_one_view_is_the_model_itself(model):
    assert averaged_over_views(model, "none") is model


@pytest.mark.slow
def test_an_export_answers_over_the_views_as_the_run_does(run, tmp_path):
    """Exported beside the plain one, whose logits are others, and named in its facts and in the result."""
    shutil.copytree(run.path, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    (row,) = export_run(run.path, ["saved_model"], views="mirror")
    assert row["test_time_augmentation"] == "mirror" and row["largest_logit_difference"] <= 1e-5
    facts = json.loads((run.path / row["path"] / "assets.extra" / "tl_keras.json").read_text())
    assert facts["test_time_augmentation"] == "mirror"
    images = sorted((run.path / "images").iterdir())
    exported, own, plain = (
        [each["score"] for each in predict_images(path, images, views=views)]
        for path, views in ((run.path / row["path"], "none"), (run.path, "mirror"), (run.path, "none"))
    )
    np.testing.assert_allclose(exported, own, atol=1e-5)
    assert not np.allclose(own, plain, atol=1e-4)


@pytest.mark.slow
def test_evaluation_says_what_the_views_gain(run, source):
    metrics = evaluate_model(run.path, source, views="crops")
    gain = metrics["test_time_augmentation"]
    assert gain["without"] == pytest.approx(
        metrics["accuracy"] - (gain["better"] - gain["worse"]) / metrics["examples"]
    )
    assert "averaged over the middle and the four corners: accuracy" in as_text(metrics)


@pytest.mark.parametrize(
    ("model", "views", "line"),
    [
        (".", "flip", "expected one of none, mirror, crops. Received: flip"),
        ("saved_model", "mirror", "expected a run directory or a .keras file. Received: mirror, and an exported model"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(run, model, views, line):
    with pytest.raises(ConfigError, match=line):
        with_views(load_predictor(run.path / model), views)


@pytest.mark.slow
def test_the_commands_take_the_flag(run):
    done = run_command("predict", f"--model={run.path}", "--test_time_augmentation=crops", str(run.path / "images"))
    assert done.returncode == 0 and done.stdout.count("\n") == 10, done.stderr
