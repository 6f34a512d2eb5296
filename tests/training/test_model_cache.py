"""Tests of tl_keras.training.model_cache: what is made once, and that runs do not see what others did."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.data.options import SourceOptions
from tl_keras.distribution.distributor import open_distributor
from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.runs.records import Progress
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.checkpoints import values_of
from tl_keras.training.model_cache import ModelCache


@pytest.fixture
def models():
    return ModelCache()


@pytest.fixture
def a_student(small_teacher, models):
    """Returns a function that gets a student of the small teacher from the cache."""

    def a_student(*, seed=0, cache=models, **changes):
        config = ModelConfig(backbone=str(small_teacher), method="fine_tune", unfreeze="all")
        config = dataclasses.replace(config, **changes)
        return cache.student(choose_backbone(config), config, num_classes=2, seed=seed)

    return a_student


PLAIN = LossRecipe()


@pytest.fixture
def a_trainer(models):
    """Returns a function that gets a trainer on the CPU from the cache."""

    def a_trainer(student, *, precision="float32", loss=PLAIN, **changes):
        hardware = resolve_hardware("cpu", precision=precision)
        config = TrainingConfig(**changes)
        return models.trainer(
            student,
            student.plan,
            config,
            on_features=False,
            loss=loss,
            task=SINGLE_LABEL,
            distributor=open_distributor(hardware),
        )

    return a_trainer


def weights(student):
    return values_of(student.model.weights)


def same(some, others):
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def test_the_next_run_begins_with_the_teachers_weights_whatever_the_last_one_did(a_student, models):
    student = a_student()
    before = weights(student)
    for variable in models.trained_variables(student, [student.plan]):
        variable.assign(variable + 1)
    assert not same(weights(student), before)
    assert same(weights(a_student()), before)


def test_weights_of_a_file_do_not_stay_for_the_next_run(a_student, models, tmp_path):
    student = a_student()
    before = weights(student)
    student.model.save_weights(tmp_path / "other.weights.h5")
    for variable in models.trained_variables(student, [student.plan]):
        variable.assign(variable + 1)
    changed = weights(student)
    student.model.save_weights(tmp_path / "trained.weights.h5")
    student = a_student()
    models.load_weights(student, tmp_path / "trained.weights.h5", [student.plan])
    assert same(weights(student), changed)
    assert same(weights(a_student()), before)


def test_seeds_share_a_network_and_differ_in_the_head(a_student):
    one = a_student(seed=0)
    kernel = weights(one)[-2]
    other = a_student(seed=1)
    assert other.model is one.model
    assert not np.array_equal(weights(other)[-2], kernel)
    assert np.array_equal(weights(a_student(seed=0))[-2], kernel)


def test_dropout_of_the_teacher_follows_from_the_seed_whatever_ran_before(a_student, small_teacher, tmp_path):
    teacher = keras.models.load_model(small_teacher)
    keras.Model(teacher.input, keras.layers.Dropout(0.5)(teacher.output)).save(tmp_path / "teacher.keras")
    shutil.copy(small_teacher.with_suffix(".preprocess.json"), tmp_path)

    def noise(seed, cache):
        backbone = a_student(seed=seed, cache=cache, backbone=str(tmp_path / "teacher.keras")).backbone
        return values_of([variable for variable in backbone.variables if "seed" in variable.name])

    shared = ModelCache()
    assert not same(noise(0, shared), noise(1, shared))
    assert same(noise(1, shared), noise(1, ModelCache()))


def test_replicate_draws_every_weight_by_the_seed(a_student):
    drawn = []
    for seed in (0, 1, 0):
        keras.utils.set_random_seed(seed)
        drawn.append(weights(a_student(seed=seed, method="replicate", unfreeze="all")))
    assert not np.array_equal(drawn[0][0], drawn[1][0])
    assert same(drawn[0], drawn[2])


def test_students_of_other_heads_are_other_networks(a_student):
    assert a_student().model is not a_student(dropout=0.5).model


def test_a_trainer_is_shared_by_runs_that_compile_the_same_step(a_student, a_trainer):
    trainer = a_trainer(a_student())
    assert a_trainer(a_student(seed=1), epochs=7, learning_rate=0.1) is trainer
    assert a_trainer(a_student(), weight_decay=0.5) is not trainer
    assert a_trainer(a_student(), precision="bfloat16") is not trainer
    weighted = a_trainer(a_student(), loss=LossRecipe("focal", class_weights=(1.0, 3.0)))
    assert weighted is not trainer
    assert a_trainer(a_student(), loss=LossRecipe("focal", class_weights=(1.0, 3.0))) is weighted


def test_the_predictions_of_the_next_run_are_not_traced_again(a_student, models):
    first = models.predicting(a_student(seed=0))
    assert models.predicting(a_student(seed=1)) is first


def test_a_trained_head_is_handed_on_to_the_same_recipe_alone(a_student, models):
    student = a_student()
    head = models.trained_variables(student, [student.plan.frozen()])
    head[0].assign(head[0] + 1)
    trained, progress = values_of(head), Progress(kept_epoch=3)
    models.keep_head(student, "recipe", progress)
    progress.kept_epoch = 4  # what was kept is a copy
    student = a_student()
    assert models.take_head(student, "another recipe") is None
    assert not same(values_of(head), trained)
    assert models.take_head(student, "recipe").kept_epoch == 3
    assert same(values_of(head), trained)


def test_a_student_of_another_maker_is_refused(small_teacher, models, a_student):
    config = ModelConfig(backbone=str(small_teacher), method="feature_extraction", unfreeze="none")
    stranger = build_student(choose_backbone(config), config, num_classes=2)
    with pytest.raises(
        ValueError, match=r"student: expected one that .ModelCache\.student. of this cache has returned"
    ):
        models.split(stranger, stranger.plan)
    with pytest.raises(ValueError, match="Received another"):
        models.splits(a_student(cache=ModelCache()))


def test_images_are_inspected_once(models, monkeypatch):
    source = ArraySource(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4) % 2)
    opened, inspection = models.images(source, SourceOptions())
    monkeypatch.setattr("tl_keras.training.model_cache.inspect_source", None)
    assert models.images(source, SourceOptions())[1] is inspection
    few = ArraySource(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2))
    models.keep_images(few, inspection, SourceOptions())
    assert models.images(few, SourceOptions()) == (few, inspection)
    assert opened.ids == source.ids
