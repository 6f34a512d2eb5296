"""Tests of tl_keras.serving.answering_models: every form of a trained model answers alike; see also test_predictor.py."""

import shutil

import numpy as np
import pytest

from tl_keras.errors import BackboneError
from tl_keras.experiments.measure import evaluate_model
from tl_keras.serving.predictor import load_predictor, predict_images


@pytest.mark.slow
@pytest.mark.parametrize("form", ["litert", "openvino/1"])
def test_an_export_in_its_own_runtime_answers_as_the_run_does(exported, form, source):
    images = sorted((exported / "images").iterdir())
    own, others = predict_images(exported, images, top_k=3), predict_images(exported / form, images, top_k=3)
    for one, other in zip(own, others, strict=True):
        assert one["label"] == other["label"] and one["file"] == other["file"]
        scores = [[each["score"] for each in row["top_k"]] for row in (one, other)]
        np.testing.assert_allclose(*scores, atol=1e-5)


@pytest.mark.long
def test_an_export_is_measured_as_the_run_is(exported, source):
    measures, of_run = (evaluate_model(path, source) for path in (exported / "litert", exported))
    assert measures["accuracy"] == of_run["accuracy"] and measures["trained_on"] == of_run["trained_on"] > 0


DAMAGED = [
    ("saved_model", "saved_model.pb"),
    ("saved_model", "variables/variables.index"),
    ("saved_model", "variables/variables.data-00000-of-00001"),
    ("litert", "model.tflite"),
    ("openvino", "model.bin"),
]


@pytest.mark.parametrize(("form", "file"), DAMAGED)
def test_a_damaged_export_is_one_line(exported, form, file, tmp_path):
    damaged = shutil.copytree(exported / form, tmp_path / form) / "1" / file
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    expected = rf"expected an export that {form} can load\. Received: .*/{form}/1 \(.+\)\. Export the run again"
    with pytest.raises(BackboneError, match=expected) as raised:
        load_predictor(tmp_path / form)
    assert "\n" not in str(raised.value)


def test_an_export_without_its_file_is_one_line(exported, tmp_path):
    shutil.copytree(exported / "litert", tmp_path / "litert")
    (tmp_path / "litert" / "1" / "model.tflite").unlink()
    with pytest.raises(BackboneError, match=r"expected an export written by tl_keras, with tl_keras\.json"):
        load_predictor(tmp_path / "litert")
