"""Tests of tl_keras.reporting.model_card, on the result of a real run."""

import dataclasses
import subprocess
import sys

import pytest
import yaml
from golden_results import golden_result

from tl_keras.config import TransferConfig
from tl_keras.reporting.finished_run import FinishedRun
from tl_keras.reporting.model_card import card


@pytest.fixture
def text(tmp_path):
    """The card of a run whose source has an awkward name."""
    (tmp_path / "labels.txt").write_text("cat\ndog: small\n")
    config = TransferConfig()
    config.data.source, config.model.backbone = 'my "photos": #1', "hf://me/earlier@" + 40 * "1"
    return card(FinishedRun(tmp_path, config, dataclasses.replace(golden_result(), test_score=0.75), {}))


def test_its_metadata_are_those_of_the_hub(text):
    _, metadata, body = text.split("---\n", 2)
    values = yaml.safe_load(metadata)
    (result,) = values["model-index"][0]["results"]
    assert (values["library_name"], values["pipeline_tag"]) == ("keras", "image-classification")
    assert values["base_model"] == "me/earlier"
    assert result["dataset"] == {"name": 'my "photos": #1', "type": "custom", "split": "test"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.75, "name": "accuracy"}]
    assert "It tells 2 classes: cat, dog: small." in body


def test_that_all_labelled_images_have_trained_is_said(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    refitted = dataclasses.replace(golden_result(), refit={"epochs": 5, "images": 120})
    text = card(FinishedRun(tmp_path, TransferConfig(), refitted, {}))
    assert "Training" in text and "began again on all 120 images of training and validation." in text


def test_a_score_that_one_image_cannot_tell_has_no_number_and_numbers_are_no_classes(tmp_path):
    (tmp_path / "labels.txt").write_text("temp_c\n")
    config, images = TransferConfig(), {"train": 6, "validation": 1, "test": 1}
    config.task = "regression"
    alone = dataclasses.replace(golden_result(), score_name="r2", test_score=0.0, interval=[0.0, 1.0], images=images)
    text = card(FinishedRun(tmp_path, config, alone, {}))
    assert "| R² on 1 test image |" in text and "| cannot be told | - |" in text
    assert "It gives 1 number: temp_c." in text
    assert "model-index" not in text  # by which the Hub would show the number


def test_the_card_of_folds_does_not_count_the_same_images_twice(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    folds = {"number": 5, "accuracy": 0.9, "interval": [0.8, 0.95], "by_fold": [0.9] * 5, "images": 140}
    images = {"train": 140, "validation": 140, "test": 0}
    of_folds = dataclasses.replace(golden_result(), folds=folds, images=images, test_score=None)
    text = card(FinishedRun(tmp_path, TransferConfig(), of_folds, {}))
    assert ": all 140 labelled ones, in 5 folds." in text


def test_a_teacher_run_is_named(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    config = TransferConfig()
    config.distillation.teacher_run = "runs/big"
    assert "It learnt the answers of `runs/big` beside the labels." in card(
        FinishedRun(tmp_path, config, golden_result(), {})
    )


def test_a_card_is_written_without_tensorflow():
    code = "import sys, tl_keras.reporting.model_card; print({'tensorflow', 'keras'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_hub_reads_it(text):
    hub = pytest.importorskip("huggingface_hub", reason="pip install huggingface_hub")
    (read,) = hub.ModelCard(text, ignore_metadata_errors=False).data.eval_results
    assert (read.task_type, read.metric_type, read.metric_value) == ("image-classification", "accuracy", 0.75)


@pytest.mark.parametrize(
    ("task", "names", "told", "tag"),
    [
        ("regression", ["value"], "It gives 1 number: value.", None),
        (
            "multi_label",
            ["cat", "dog", "hat"],
            "It says which of 3 labels an image has: cat, dog, hat.",
            "classification",
        ),
        ("ordinal", ["low", "high"], "It tells 2 grades, the lowest first: low, high.", "classification"),
    ],
)
def test_what_it_tells_is_said_in_the_words_of_its_task(tmp_path, task, names, told, tag):
    (tmp_path / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    text = card(FinishedRun(tmp_path, TransferConfig(task=task), golden_result(), {}))
    assert told in text
    assert ("standardised numbers" in text) == (task == "regression")
    metadata = yaml.safe_load(text.split("---\n", 2)[1])
    assert metadata.get("pipeline_tag") == (tag and f"image-{tag}")
    assert metadata["model-index"][0]["results"][0]["task"]["type"] == f"image-{tag or 'regression'}"


def test_a_score_of_folds_is_out_of_fold(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    folds = {"number": 5, "accuracy": 0.8, "interval": [0.7, 0.9], "by_fold": [0.8] * 5, "images": 120}
    images = {"train": 120, "validation": 120, "test": 0}
    result = golden_result(validation_score=0.8, test_score=None, folds=folds, images=images)
    text = card(FinishedRun(tmp_path, TransferConfig(), result, {}))
    assert "| accuracy out of fold on 120 labelled images |" in text
    assert (
        "Out of fold, each answered by a model that had not seen it, their accuracy is 80.0% (95% interval 70.0% to"
        in text
    )
    assert (
        "all 120 labelled ones, in 5 folds.\n" in text and "validation images" not in text and "120 train" not in text
    )
    (measured,) = yaml.safe_load(text.split("---\n", 2)[1])["model-index"][0]["results"]
    assert measured["dataset"]["split"] == "out of fold"
