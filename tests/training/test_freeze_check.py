"""Tests of tl_keras.training.freeze_check, on real training with faults planted behind the plan's back."""

import keras
import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import TrainingError
from tl_keras.training.freeze_check import FreezeCheck


@pytest.fixture(scope="module")
def student():
    config = ModelConfig(weights="none", image_size=32, alpha=0.35, method="fine_tune", unfreeze="blocks:2")
    keras.utils.set_random_seed(0)
    return build_student(choose_backbone(config), config, num_classes=2)


def fit(student, fault=lambda backbone: None, *, resumed=False):
    """Trains two steps under the plan, with a fault, and returns the proofs."""
    student.plan.apply(student.backbone)
    fault(student.backbone)
    proofs = []
    # Eagerly: to trace a step takes longer than two of them.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.model.compile("adam", loss, jit_compile=False, run_eagerly=True)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    proof = FreezeCheck("head", student, student.plan, proofs=proofs, resumed=resumed)
    student.model.fit(images, np.array([0, 1, 0, 1]), batch_size=2, verbose=0, callbacks=[proof])
    return proofs


def test_what_was_seen_is_told(student):
    frozen, trained = (
        len(student.plan.frozen_weights(student.backbone)),
        len(student.plan.trained_weights(student.backbone)),
    )
    assert fit(student) == [{"phase": "head", "frozen_unchanged": frozen, "trained_moved": trained + 2}]
    assert trained == 4  # the kernels of four convolutions; BatchNorm stays frozen
    assert frozen + trained == len(student.backbone.weights)


def test_a_layer_made_trainable_behind_the_plans_back_stops_the_run(student):
    def fault(backbone):
        backbone.get_layer("block_1_expand").trainable = True

    with pytest.raises(TrainingError, match=r"bit-identical.*block_1_expand/kernel changed"):
        fit(student, fault)


def test_statistics_of_a_batch_norm_that_drift_stop_the_run(student):
    def fault(backbone):
        backbone.get_layer("bn_Conv1").trainable = True

    with pytest.raises(TrainingError, match=r"bit-identical.*bn_Conv1.*bn_Conv1/moving_mean"):
        fit(student, fault)


def test_a_layer_that_should_train_and_does_not_stops_the_run(student):
    def fault(backbone):
        backbone.get_layer("Conv_1").trainable = False

    with pytest.raises(
        TrainingError,
        match=r"expected every trained weight to move.*Conv_1/kernel unmoved\. The teacher has random weights .*--method=replicate",
    ):
        fit(student, fault)


def test_a_phase_that_is_resumed_may_end_with_steps_too_small_to_move_a_weight(student):
    def at_the_end_of_its_schedule(backbone):
        backbone.get_layer("Conv_1").trainable = False

    (proof,) = fit(student, at_the_end_of_its_schedule, resumed=True)
    assert proof["trained_moved"] == 6


def test_a_frozen_weight_that_moves_stops_a_phase_that_is_resumed(student):
    def fault(backbone):
        backbone.get_layer("block_1_expand").trainable = True

    with pytest.raises(TrainingError, match=r"block_1_expand/kernel changed"):
        fit(student, fault, resumed=True)
