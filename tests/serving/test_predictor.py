"""Tests of tl_keras.serving.predictor and the predict command."""

import json
import shutil

import numpy as np
import pytest
from forked_commands import run_command

from tests.data.files_of_every_kind import as_pillow_reads, turned
from tl_keras.errors import BackboneError, DataError
from tl_keras.predict import as_text, errors_by_reason
from tl_keras.serving.monitoring import compare_images
from tl_keras.serving.predictor import load_predictor, predict_images


@pytest.fixture(scope="module")
def expected(run, source):
    """What the run directory's model gives for twenty images."""
    return load_predictor(run.path).probabilities(twenty(source), batch_size=8)


def twenty(source):
    return source.images(np.arange(20)).map(lambda element: element["image"])


@pytest.mark.parametrize("model", ["model.keras", "saved_model", "saved_model/1"])
def test_every_form_of_the_model_gives_the_same_calibrated_probabilities(run, source, expected, model):
    found = load_predictor(run.path / model).probabilities(twenty(source), batch_size=8)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("model", ["model.keras", "saved_model"])
def test_every_form_of_the_model_has_the_names_of_the_classes_exactly(run, source, model):
    assert load_predictor(run.path / model).class_names == source.class_names


def test_a_saved_model_without_its_names_is_refused(run, tmp_path):
    shutil.copytree(run.path / "saved_model" / "1", tmp_path / "1")
    (tmp_path / "1" / "assets.extra" / "tl_keras.json").write_bytes(b"\xff")
    with pytest.raises(BackboneError, match="written by tl_keras"):
        load_predictor(tmp_path)


@pytest.mark.parametrize("name", ["run [1]", "run*?", "back\\slash", "läuft \u2028"])
def test_a_saved_model_answers_from_a_directory_of_any_name(run, source, tmp_path, name):
    shutil.copytree(run.path / "saved_model", tmp_path / name)
    assert load_predictor(tmp_path / name).probabilities(twenty(source), batch_size=20).shape == (20, 3)


def test_the_table_has_one_line_an_image(predicted):
    assert as_text(predicted).count("\n") == len(predicted) - 1
    assert "\x1b" not in as_text(predicted)


def test_labels_are_ranked_by_score(predicted):
    row = predicted[0]
    scores = [best["score"] for best in row["top_k"]]
    assert scores == sorted(scores, reverse=True)
    assert (row["label"], row["score"]) == (row["top_k"][0]["label"], scores[0])


def test_a_file_that_is_no_image_is_named_and_the_others_are_answered(run, tmp_path):
    (tmp_path / "b.png").write_bytes(b"not an image")
    (tmp_path / "a.png").write_bytes((run.path / "images" / "0.png").read_bytes())
    rows = predict_images(run.path / "saved_model", [tmp_path])  # which loads sooner
    assert "label" in rows[0]
    assert "another kind of file" in rows[1]["error"]


def test_the_command_prints_a_line_for_each_name_and_ends_with_2_where_a_file_is_broken(run, tmp_path):
    (tmp_path / "b.png").write_bytes(b"not an image")
    flags = [f"--model={run.path}", "--format=jsonl", "--top_k=2"]
    done = run_command("predict", *flags, tmp_path, run.path / "images", run.path / "images" / "0.png")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(row.get("top_k", [])) for row in rows] == [0, *[2] * 11]
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        f"1 of 12 files not answered; cannot be decoded: 1, the first is {tmp_path}/b.png"
    )


def test_too_large_is_not_cannot_be_decoded(run, tmp_path):
    (tmp_path / "b.png").write_bytes(b"not an image")
    rows = predict_images(run.path / "saved_model", [tmp_path, run.path / "images"], max_pixels=10)
    said = errors_by_reason(rows)
    assert said.startswith("11 of 11 files not answered; cannot be decoded: 1, the first is ")
    assert "; too large, over 10 pixels (--max_pixels): 10, the first is " in said


@pytest.mark.parametrize("model", ["nothing_here", "model.keras", ""])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, model):
    with pytest.raises(BackboneError, match="model: expected") as raised:
        load_predictor(tmp_path / model)
    assert "\n" not in str(raised.value)


def test_a_model_may_be_named_by_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run1").mkdir()
    (tmp_path / "run1" / "model.keras").write_text("no model")
    for read in (load_predictor, lambda workdir: compare_images(workdir, "photos")):
        with pytest.raises(
            BackboneError, match=rf"expected a \.keras file that can be read. Received: {tmp_path}/run1"
        ):
            read("~/run1")


def test_texts_are_not_taken_for_files_by_a_model_of_images(run, tmp_path):
    (tmp_path / "questions.txt").write_text("What is a caldera?\n")
    process = run_command("predict", f"--model={run.path}", f"--texts={tmp_path / 'questions.txt'}")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: texts: expected a model of texts. Received: --texts=")


def test_of_several_runs_one_is_to_be_named(tmp_path):
    (tmp_path / "distilled" / "seed_0").mkdir(parents=True)
    (tmp_path / "distilled" / "seed_0" / "model.keras").write_bytes(b"")
    with pytest.raises(BackboneError, match=r"which holds 1 run\. Name one of them, such as .*distilled/seed_0\."):
        load_predictor(tmp_path)


@pytest.mark.parametrize("images", [["missing.jpg"], ["."]])
def test_without_images_there_is_one_line(run, tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="images: expected"):
        predict_images(run.path, images)


@pytest.mark.parametrize("model", ["model.keras", "saved_model"])
def test_photos_are_answered_as_they_are_seen_however_the_camera_was_held(run, model):
    files = [turned("PNG", way) for way in range(1, 9)]
    stored = predict_images(run.path / model, files, top_k=3)
    upright = predict_images(run.path / model, [as_pillow_reads(file) for file in files], top_k=3)
    assert [row["top_k"] for row in stored] == [row["top_k"] for row in upright]
    assert len({row["score"] for row in stored}) > 1
