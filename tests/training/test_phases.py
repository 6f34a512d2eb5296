"""Tests of tl_keras.training.phases."""

import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig, resolve
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.training.phases import epochs_of_phases, plan_phases, require_training


def phases(**model):
    return phases_and_student(**model)[0]


def phases_and_student(**model):
    config = resolve(
        TransferConfig(
            data=DataConfig(source="digits"),
            model=ModelConfig(weights="none", image_size=32, alpha=0.35, **model),
            training=TrainingConfig(epochs=6, head_epochs=2),
        )
    )
    student = build_student(choose_backbone(config.model), config.model, num_classes=2)
    return plan_phases(config, student, images=100), student


def test_replicate_trains_everything_at_once():
    (phase,) = phases(method="replicate")
    assert (phase.name, phase.epochs, phase.rate_factor) == ("all layers", 6, 1.0)
    assert phase.plan.train_batch_norm


def test_feature_extraction_trains_the_head():
    (phase,) = phases(method="feature_extraction")
    assert (phase.name, phase.epochs, phase.plan.trained) == ("head", 6, frozenset())


def test_fine_tuning_follows_the_head_at_a_smaller_rate():
    head, tuning = phases(method="fine_tune", unfreeze="blocks:2")
    assert (head.epochs, head.plan.trained) == (2, frozenset())
    assert (tuning.epochs, tuning.rate_factor) == (6, 0.03)
    assert sum(block.trained_layers > 0 for block in tuning.plan.blocks) == 2


def test_a_schedule_unfreezes_block_by_block():
    head, first, second = phases(method="fine_tune", unfreeze_schedule="blocks:1@0,blocks:3@4")
    assert (first.name, first.epochs) == ("fine-tuning blocks:1", 4)
    assert (second.name, second.epochs) == ("fine-tuning blocks:3", 2)
    assert head.plan.trained < first.plan.trained < second.plan.trained


def test_a_cut_of_which_nothing_would_train_is_refused():
    with pytest.raises(
        BackboneError, match=r"regex:_BN\$, which names nothing but BatchNorm, which --batch_norm=freeze keeps"
    ):
        require_training(*phases_and_student(method="fine_tune", unfreeze="regex:_BN$"))
    for batch_norm in ("train", "recalibrate"):
        require_training(*phases_and_student(method="fine_tune", unfreeze="regex:_BN$", batch_norm=batch_norm))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"method": "replicate"}, {"all layers": 6}),
        ({"method": "feature_extraction"}, {"head": 6}),
        ({"method": "fine_tune"}, {"head": 2, "fine-tuning": 6}),
        (
            {"method": "fine_tune", "unfreeze_schedule": "blocks:1@0,blocks:3@4"},
            {"head": 2, "fine-tuning blocks:1": 4, "fine-tuning blocks:3": 2},
        ),
    ],
)
def test_a_config_alone_tells_how_long_each_phase_is(model, expected):
    training = TrainingConfig(epochs=6, head_epochs=2)
    config = resolve(TransferConfig(data=DataConfig(source="digits"), model=ModelConfig(**model), training=training))
    assert epochs_of_phases(config) == expected


@pytest.mark.parametrize("schedule", ["blocks:1", "blocks:1@1", "blocks:1@0,blocks:2@0", "blocks:1@0,blocks:2@6", "@"])
def test_a_schedule_that_cannot_be_kept_is_refused(schedule):
    with pytest.raises(ConfigError, match="unfreeze_schedule: expected SPEC@EPOCH"):
        phases(method="fine_tune", unfreeze_schedule=schedule)
