"""Tests of tl_keras.serving: the model file, the export and the predictor, on one student with random weights."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.sources import open_source
from tl_keras.errors import BackboneError, DataError, ExportError
from tl_keras.serving.export import export_saved_model
from tl_keras.serving.model_file import load_model, save_model
from tl_keras.serving.predictor import load_predictor, predict_images

NAMES = ("cat", "dog", "eel")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory with model.keras and saved_model/1, a student, images, and the logits that it gives for them."""
    folder = tmp_path_factory.mktemp("run")
    config = ModelConfig(weights="embedded", method="feature_extraction", unfreeze="none")
    student = build_student(choose_backbone(config), config, num_classes=3)
    digits = open_source("digits")
    images = [digits.encoded_image(index) for index in range(5)]
    (folder / "images").mkdir()
    for i, image in enumerate(images):
        (folder / "images" / f"{i}.png").write_bytes(image)
    pixels = [student.preprocess.evaluation_transform(_decoded(image)).numpy() for image in images]
    logits = student.model.predict(np.stack(pixels), verbose=0)
    save_model(student, folder / "model.keras", class_names=NAMES)
    export_saved_model(student, folder / "saved_model", class_names=NAMES, images=images, logits=logits)
    return folder, student, images, logits


def _decoded(image: bytes):
    from tl_keras.data.decoding import decode_image

    return decode_image(tf.constant(image))


def test_the_model_file_brings_its_preprocessing_and_classes(run):
    folder, student, _, _ = run
    trained = load_model(folder / "model.keras")
    assert trained.preprocess == student.preprocess
    assert trained.class_names == NAMES


@pytest.mark.parametrize("model", ["", "model.keras", "saved_model", "saved_model/1"])
def test_every_form_of_the_model_gives_trainings_probabilities(run, model):
    folder, _, _, logits = run
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    rows = predict_images(folder / model, [folder / "images"], top_k=3)
    assert [row["label"] for row in rows] == [NAMES[i] for i in expected.argmax(-1)]
    scores = [{best["label"]: best["score"] for best in row["top_k"]} for row in rows]
    np.testing.assert_allclose([[score[name] for name in NAMES] for score in scores], expected, atol=1e-5)


def test_a_file_that_is_no_image_is_named_and_the_others_are_answered(run, tmp_path):
    (tmp_path / "b.png").write_bytes(b"not an image")
    (tmp_path / "a.png").write_bytes(run[2][0])
    rows = predict_images(run[0], [tmp_path])
    assert "label" in rows[0]
    assert "decoded" in rows[1]["error"]


def test_the_command_prints_json_lines_and_ends_with_2_where_a_file_is_broken(run, tmp_path):
    (tmp_path / "b.png").write_bytes(b"not an image")
    command = [sys.executable, "-m", "tl_keras.predict", f"--model={run[0]}", "--format=jsonl", "--top_k=2"]
    done = subprocess.run([*command, tmp_path, run[0] / "images"], capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(row.get("top_k", [])) for row in rows] == [0, 2, 2, 2, 2, 2]
    assert done.returncode == 2
    assert "b.png" in done.stderr.splitlines()[-1]


def test_an_export_that_disagrees_fails_and_leaves_the_older_version(run, tmp_path):
    _, student, images, logits = run
    (tmp_path / "saved_model" / "1").mkdir(parents=True)
    (tmp_path / "saved_model" / "1" / "older").write_text("")
    with pytest.raises(ExportError, match="a difference of"):
        export_saved_model(student, tmp_path / "saved_model", class_names=NAMES, images=images, logits=logits[::-1])
    assert [path.name for path in (tmp_path / "saved_model").rglob("*")] == ["1", "older"]


@pytest.mark.parametrize("model", ["nothing_here", "model.keras", ""])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, model):
    with pytest.raises(BackboneError, match="model: expected") as raised:
        load_predictor(tmp_path / model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("images", [["missing.jpg"], ["."]])
def test_without_images_there_is_one_line(run, tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="images: expected"):
        predict_images(run[0], images)
