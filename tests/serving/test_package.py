"""Tests of tl_keras.serving.package: what ends every training."""

import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.inspection import inspect_source
from tl_keras.data.splits import split_source
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import load_model
from tl_keras.serving.package import package_student
from tl_keras.serving.parity import ParityRecord
from tl_keras.serving.student_statistics import make_predict_fn
from tl_keras.tasks.single_label import SINGLE_LABEL


@pytest.fixture(scope="module")
def packaged(source, small_teacher, tmp_path_factory):
    """The packaged student, the run directory, the splits and the student."""
    config = ModelConfig(backbone=str(small_teacher), method="feature_extraction", unfreeze="none")
    student = build_student(choose_backbone(config), config, num_classes=3)
    splits = split_source(source, inspect_source(source), validation_fraction=0.3, test_fraction=0.1, seed=0)
    run = RunDirectory(tmp_path_factory.mktemp("packaged"))
    predict = make_predict_fn(student, source, global_batch_size=32)
    return package_student(student, run, source, splits, predict=predict, task=SINGLE_LABEL), run, splits, student


def test_the_model_file_holds_the_student_with_what_it_knows_of_itself(packaged, source):
    _, run, _, student = packaged
    trained = load_model(run.model)
    assert trained.class_names == source.class_names
    for saved, weights in zip(trained.model.get_weights(), student.model.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, weights)


def test_the_calibration_of_result_json_is_that_of_the_model_file(packaged):
    student, run, splits, _ = packaged
    assert student.calibration["temperature"] == pytest.approx(load_model(run.model).statistics.temperature)
    assert str(len(splits.validation)) in student.calibration["measured_on"]


def test_the_proof_has_validation_images_of_every_class_with_their_logits(packaged, source):
    _, run, splits, _ = packaged
    proof = ParityRecord.load(run.proof)
    assert proof.logits.shape == (len(proof.images), 3)
    validation = {source.encoded_image(int(index)): source.labels[index] for index in splits.validation}
    assert {validation[image] for image in proof.images} == {0, 1, 2}
