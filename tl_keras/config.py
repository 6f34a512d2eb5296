"""What the user chooses: a `TransferConfig` and its parts, typed, validated, to JSON and back.

Zero and the empty string mean "not chosen": `resolve` fills such fields from the method and the source, so that
`config.json` in the run directory holds every value that was used. Nothing here imports TensorFlow.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from tl_keras.errors import ConfigError, nearest

METHODS = ("replicate", "feature_extraction", "fine_tune")
HEADS = ("linear", "mlp")
BATCH_NORM_POLICIES = ("freeze", "train")
AUGMENTATIONS = ("none", "light", "strong")
CLASS_WEIGHTS = ("none", "balanced")
RESIZE_RULES = ("original", "squash", "pad")
STRATEGIES = ("auto", "cpu", "gpu")
EXPORTS = ("saved_model", "litert", "litert_float16", "litert_int8", "onnx", "openvino")

# A head starts from random weights and wants a large step; a whole network from random weights takes Adam's
# customary 1e-3 (Kingma and Ba 2015, algorithm 1).
DEFAULT_LEARNING_RATES = {"replicate": 1e-3, "feature_extraction": 1e-2, "fine_tune": 1e-2}


@dataclasses.dataclass
class DataConfig:
    """Which images, how they are split and how they are varied in training."""

    source: str = ""  # a directory, csv:FILE, tfrecord:GLOB, tfds:NAME[/config], npz:FILE or digits
    data_dir: str = ""  # where prepared TFDS datasets lie; empty: TFDS's own default
    validation_fraction: float = 0.15  # of the images, where the source declares no validation split
    test_fraction: float = 0.15  # of the images, where the source declares no split at all
    train_examples_per_class: int = 0  # at most so many labelled training images a class; 0: all
    augmentation: str = "light"  # none, light or strong
    horizontal_flip: bool = True  # part of light and strong; False where left and right differ, as for digits


@dataclasses.dataclass
class ModelConfig:
    """Which teacher, what is kept of it, and the head on top."""

    backbone: str = "MobileNetV2"
    weights: str = "imagenet"  # imagenet, embedded, none, or a .weights.h5, .h5 or .keras file
    alpha: float = 0.0  # width multiplier of MobileNet and MobileNetV2; 0: that of the weights
    image_size: int = 0  # pixels, height and width; 0: that of the weights
    resize: str = "original"  # original (short side and centre crop, as the teacher was evaluated), squash or pad
    method: str = "fine_tune"  # replicate, feature_extraction or fine_tune
    unfreeze: str = ""  # none, all, blocks:N, layers:N, fraction:F, from:NAME or regex:R; empty: by the method
    batch_norm: str = "freeze"  # freeze or train: BatchNorm of the unfrozen layers in fine_tune
    head: str = "linear"  # linear or mlp
    head_units: int = 256  # width of the hidden layer of the mlp head
    dropout: float = 0.2  # before the logits, 0 to below 1


@dataclasses.dataclass
class TrainingConfig:
    """How the student is trained."""

    epochs: int = 10  # passes over the training images in the last phase
    head_epochs: int = 0  # passes of fine_tune's first phase, the head alone; 0: as many as epochs
    global_batch_size: int = 32  # images a step, over all replicas
    learning_rate: float = 0.0  # peak rate of random weights (the head; the network in replicate); 0: by the method
    fine_tune_learning_rate_factor: float = 0.01  # the rate of fine_tune's second phase, as a part of learning_rate
    warmup_fraction: float = 0.1  # of the steps of a phase, from 0 up to the peak; then a cosine down to 0
    weight_decay: float = 1e-4  # AdamW's, decoupled; not on biases and normalisation
    label_smoothing: float = 0.0  # 0 to below 1
    class_weights: str = "none"  # none or balanced (inverse frequency, mean 1 over the training images)
    early_stopping_patience: int = 10  # epochs without a better validation score before a phase ends; 0: never


@dataclasses.dataclass
class TransferConfig:
    """Everything that decides a run, apart from where it is written."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    strategy: str = "auto"  # auto, cpu or gpu
    seed: int = 0
    export: str = "saved_model"  # any of saved_model, litert, litert_float16, litert_int8, onnx, openvino; or none


def quick_start() -> TransferConfig:
    """The run without `--data`: the embedded teacher, moved to scikit-learn's digits with ten labels a class."""
    return TransferConfig(
        data=DataConfig(
            source="digits",
            train_examples_per_class=10,
            # Half of the 1,797 scans measure, a tenth choose the epoch: ten labels a class are only for training.
            validation_fraction=0.1,
            test_fraction=0.5,
            augmentation="none",  # a scan of 8 x 8 pixels has nothing to spare
            horizontal_flip=False,
        ),
        model=ModelConfig(backbone="MobileNetV2", weights="embedded", method="fine_tune"),
        training=TrainingConfig(epochs=10, global_batch_size=16),
    )


def resolve(config: TransferConfig) -> TransferConfig:
    """Returns a validated copy in which what the method decides is filled in.

    Args:
      config: What the user chose.

    Returns:
      A new config, with `learning_rate`, `head_epochs` and `unfreeze` set. `image_size` and `alpha` may still be 0:
      the weights decide them (`tl_keras.builder.choose_backbone`), and the training loop fills them in.

    Raises:
      ConfigError: A field is out of its range, or two fields contradict each other.
    """
    validate(config)
    resolved = from_json(to_json(config))
    model, training = resolved.model, resolved.training
    training.learning_rate = training.learning_rate or DEFAULT_LEARNING_RATES[model.method]
    if model.method == "fine_tune":
        model.unfreeze = model.unfreeze or "blocks:4"
        training.head_epochs = training.head_epochs or training.epochs
    else:
        model.unfreeze = {"replicate": "all", "feature_extraction": "none"}[model.method]
        training.head_epochs = 0
    return resolved


def validate(config: TransferConfig) -> None:
    """Raises a ConfigError that names the first field out of its range; looks at no file and loads nothing."""
    data, model, training = config.data, config.model, config.training
    if not data.source:
        raise ConfigError(
            "data: expected a directory, csv:FILE, tfrecord:GLOB, tfds:NAME, npz:FILE or digits. Received nothing. "
            "Use --data=photos/."
        )
    _require_one_of("method", model.method, METHODS)
    _require_one_of("head", model.head, HEADS)
    _require_one_of("batch_norm", model.batch_norm, BATCH_NORM_POLICIES)
    _require_one_of("resize", model.resize, RESIZE_RULES)
    _require_one_of("augmentation", data.augmentation, AUGMENTATIONS)
    _require_one_of("class_weights", training.class_weights, CLASS_WEIGHTS)
    _require_one_of("strategy", config.strategy, STRATEGIES)
    export_formats(config.export)

    _require("epochs", training.epochs, training.epochs >= 1, "at least 1")
    _require("head_epochs", training.head_epochs, training.head_epochs >= 0, "0 (as many as epochs) or more")
    _require("batch_size", training.global_batch_size, training.global_batch_size >= 1, "at least 1; 32 is customary")
    _require("image_size", model.image_size, model.image_size >= 0, "0 (the teacher's own) or a size in pixels")
    _require("alpha", model.alpha, model.alpha >= 0, "0 (that of the weights) or a positive factor")
    _require("head_units", model.head_units, model.head_units >= 1, "at least 1")
    _require("dropout", model.dropout, 0 <= model.dropout < 1, "from 0 to below 1")
    _require("learning_rate", training.learning_rate, 0 <= training.learning_rate < 10, "0 (by the method) to below 10")
    _require("weight_decay", training.weight_decay, 0 <= training.weight_decay < 1, "from 0 to below 1")
    _require("label_smoothing", training.label_smoothing, 0 <= training.label_smoothing < 1, "from 0 to below 1")
    _require("warmup_fraction", training.warmup_fraction, 0 <= training.warmup_fraction < 1, "from 0 to below 1")
    _require("early_stopping_patience", training.early_stopping_patience, training.early_stopping_patience >= 0, "0 up")
    _require(
        "train_examples_per_class", data.train_examples_per_class, data.train_examples_per_class >= 0, "0 (all) up"
    )
    _require("seed", config.seed, 0 <= config.seed < 2**31, "from 0 to 2147483647")
    _require("validation_fraction", data.validation_fraction, 0 < data.validation_fraction < 1, "between 0 and 1")
    _require("test_fraction", data.test_fraction, 0 <= data.test_fraction < 1, "from 0 to below 1")
    held_out = data.validation_fraction + data.test_fraction
    _require(
        "validation_fraction + test_fraction", held_out, held_out < 1, "below 1, so that something is left to train on"
    )
    factor = training.fine_tune_learning_rate_factor
    # Pre-trained weights want small steps: at the head's own rate a probe of 0.69 fell to 0.17.
    _require("fine_tune_learning_rate_factor", factor, 0 < factor <= 0.1, "above 0 and at most 0.1")

    if model.unfreeze and model.method != "fine_tune":
        fixed = {"replicate": "all", "feature_extraction": "none"}[model.method]
        if model.unfreeze != fixed:
            raise ConfigError(
                f"unfreeze: method {model.method} always has unfreeze={fixed}. Received: {model.unfreeze}. "
                "Use --method=fine_tune to choose the cut."
            )
    if model.method == "fine_tune" and model.unfreeze == "none":
        raise ConfigError(
            "unfreeze: fine_tune trains some layers of the teacher. Received: none. Use --method=feature_extraction "
            "to train only the head, or --unfreeze=blocks:2."
        )


def export_formats(export: str) -> tuple[str, ...]:
    """Returns the formats that a comma-separated list names; none for `none`.

    Raises:
      ConfigError: One of them is unknown.
    """
    formats = () if export == "none" else tuple(dict.fromkeys(export.split(",")))
    for name in formats:
        _require_one_of("export", name, EXPORTS)
    return formats


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns the dotted names of the fields in which two `to_json` dictionaries differ, each with both values."""
    flat_ours, flat_theirs = dict(_flatten(ours)), dict(_flatten(theirs))
    names = sorted(flat_ours.keys() | flat_theirs.keys())
    missing = "(absent)"
    return [
        f"{name}: {flat_theirs.get(name, missing)} there, {flat_ours.get(name, missing)} now"
        for name in names
        if flat_ours.get(name, missing) != flat_theirs.get(name, missing)
    ]


def to_json(config: TransferConfig) -> dict[str, Any]:
    """Returns the config as nested dictionaries of JSON's own types."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_json(values: dict[str, Any]) -> TransferConfig:
    """Returns the config that `to_json` wrote.

    Raises:
      ConfigError: A field is unknown, for example because another version of tl_keras wrote it.
    """
    try:
        return TransferConfig(
            data=DataConfig(**values["data"]),
            model=ModelConfig(**values["model"]),
            training=TrainingConfig(**values["training"]),
            strategy=values["strategy"],
            seed=values["seed"],
            export=values["export"],
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"config: expected the fields of this version of tl_keras. Received: {error}.") from error


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {expected}. Received: {value}.")


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"{name}: expected one of {', '.join(known)}. Received: {value}. {nearest(value, known)}".strip()
        )


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
