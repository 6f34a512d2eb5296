"""Tests of tl_keras.config.checks."""

import pytest

from tl_keras import config
from tl_keras.config import DataConfig, DistillationConfig, ModelConfig, TrainingConfig, TransferConfig
from tl_keras.errors import ConfigError, TransferError

DENSE = '[{"class_name": "Dense"}]'
SGD = '{"class_name": "SGD", "config": {"learning_rate": 0.5}}'


def a_config(**changes) -> TransferConfig:
    """Returns a valid config, with parts replaced."""
    return TransferConfig(**{"data": DataConfig(source="digits"), **changes})


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"data": DataConfig()}, "data"),
        ({"model": ModelConfig(method="finetune")}, "method"),
        ({"model": ModelConfig(head="conv")}, "head"),
        ({"model": ModelConfig(batch_norm="on")}, "batch_norm"),
        ({"model": ModelConfig(resize="stretch")}, "resize"),
        ({"model": ModelConfig(dropout=1.0)}, "dropout"),
        ({"model": ModelConfig(image_size=-1)}, "image_size"),
        ({"data": DataConfig(source="digits", augmentation="heavy")}, "augmentation"),
        ({"data": DataConfig(source="digits", validation_fraction=0.0)}, "validation_fraction"),
        ({"data": DataConfig(source="digits", validation_fraction=0.5, test_fraction=0.5)}, "test_fraction"),
        ({"training": TrainingConfig(epochs=-1)}, "epochs"),
        ({"model": ModelConfig(head_layers="Dense(3)")}, "head_layers"),
        ({"training": TrainingConfig(optimizer="sgd")}, "optimizer"),
        ({"training": TrainingConfig(optimizer='{"class_name": "SGD", "config": {}}')}, "optimizer"),
        ({"training": TrainingConfig(optimizer=SGD, learning_rate=0.1)}, "learning_rate"),
        ({"training": TrainingConfig(optimizer=SGD, layer_decay=0.5)}, "layer_decay"),
        ({"training": TrainingConfig(optimizer=SGD, weight_decay=0.5)}, "weight_decay: expected no options of AdamW"),
        (
            {"training": TrainingConfig(optimizer=SGD, warmup_fraction=0.5)},
            "warmup_fraction: expected no options of AdamW",
        ),
        ({"model": ModelConfig(head_layers=DENSE, head="mlp")}, "head: expected none beside head_layers"),
        ({"model": ModelConfig(head_layers=DENSE, head_units=64)}, "head_units: expected none beside head_layers"),
        ({"model": ModelConfig(head_layers=DENSE, dropout=0.5)}, "dropout: expected none beside head_layers"),
        (
            {"data": DataConfig(source="photos/", class_order="a,b")},
            "class_order: .* Received: task auto. Use --task=ordinal",
        ),
        (
            {"task": "regression", "training": TrainingConfig(label_smoothing=0.1)},
            "label_smoothing: expected 0 for task regression",
        ),
        ({"training": TrainingConfig(global_batch_size=0)}, "batch_size"),
        ({"training": TrainingConfig(learning_rate=float("nan"))}, "learning_rate"),
        ({"training": TrainingConfig(fine_tune_learning_rate_factor=0.5)}, "fine_tune_learning_rate_factor"),
        ({"model": ModelConfig(method="auto")}, "method: expected a method that is decided"),
        ({"model": ModelConfig(backbone="auto")}, "backbone: expected a teacher that is decided"),
        ({"model": ModelConfig(method="replicate", lora_rank=8)}, "lora_rank: trains layers of the teacher"),
        ({"distillation": DistillationConfig(unlabelled="more/")}, "unlabelled: expected a teacher run"),
        (
            {"distillation": DistillationConfig(teacher_run="big/"), "data": DataConfig(source="photos/", mixup=0.2)},
            "mixup: expected 0 beside a teacher run",
        ),
        (
            {"model": ModelConfig(significant_bits=7)},
            r"significant_bits: expected 0 \(.*\) or a whole number from 8 to 16",
        ),
        (
            {"training": TrainingConfig(loss="asymmetric")},
            "loss: expected one of cross_entropy, focal, logit_adjustment",
        ),
        ({"task": "multi_label", "training": TrainingConfig(loss="logit_adjustment")}, "loss: .* task multi_label"),
        ({"task": "ordinal", "training": TrainingConfig(loss="focal")}, "loss: expected none for task ordinal"),
        ({"training": TrainingConfig(loss="foccal")}, "loss: .* Did you mean focal"),
        (
            {"training": TrainingConfig(loss="logit_adjustment", class_weights="balanced")},
            "class_weights=balanced: expected one remedy",
        ),
        ({"task": "regression", "training": TrainingConfig(sampling="balanced")}, "sampling=balanced: expected none"),
        ({"training": TrainingConfig(layer_decay=0)}, "layer_decay: expected a number above 0 and at most 1"),
        ({"strategy": "cloud"}, "strategy"),
        ({"export": "saved_model,onxx"}, "export"),
        ({"seed": -1}, "seed"),
        ({"model": ModelConfig(method="feature_extraction", unfreeze="blocks:2")}, "unfreeze"),
        ({"model": ModelConfig(method="fine_tune", unfreeze="none")}, "unfreeze"),
        ({"model": ModelConfig(unfreeze="block:2")}, "unfreeze: .* Did you mean blocks"),
        ({"model": ModelConfig(unfreeze="blocks:two")}, "unfreeze: expected blocks:N"),
        ({"model": ModelConfig(unfreeze="regex:[")}, "unfreeze: expected a regular expression"),
        (
            {"training": TrainingConfig(epochs="10")},
            r"epochs: expected .* a whole number .* Received: '10', which is text\. Use 0",
        ),
        (
            {"training": TrainingConfig(epochs=2.5)},
            "epochs: expected .* a whole number .* Received: '2.5', which is float",
        ),
        ({"training": TrainingConfig(epochs=True)}, "epochs: expected .* a whole number .* which is bool"),
        ({"training": TrainingConfig(learning_rate="fast")}, "learning_rate: expected .* a number .* which is text"),
        ({"training": TrainingConfig(learning_rate=None)}, "learning_rate: expected .* a number .* which is NoneType"),
        ({"data": DataConfig(source=3)}, "data: expected text. Received: '3', which is int"),
        ({"training": TrainingConfig(find_learning_rate="no")}, "find_learning_rate: expected True or False"),
        (
            {"data": DataConfig(source="digits", horizontal_flip="maybe")},
            "horizontal_flip: expected one of auto, on, off",
        ),
        ({"model": {"backbone": "MobileNetV2"}}, "model: expected a ModelConfig"),
    ],
)
def test_a_field_out_of_its_range_is_named_in_one_line(changes, name):
    with pytest.raises(TransferError, match=name) as raised:
        config.validate(a_config(**changes))
    assert "\n" not in str(raised.value)


def test_the_nearest_method_is_offered():
    with pytest.raises(ConfigError, match=r"Did you mean fine_tune\?"):
        config.validate(a_config(model=ModelConfig(method="finetune")))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig(unfreeze_schedule="blocks:1@0", method="feature_extraction"), "in place of unfreeze"),
        (ModelConfig(unfreeze_schedule="blocks:1@0", unfreeze="all"), "in place of unfreeze"),
    ],
)
def test_a_schedule_stands_alone(model, message):
    with pytest.raises(ConfigError, match=message):
        config.validate(a_config(model=model, training=TrainingConfig(epochs=4)))
