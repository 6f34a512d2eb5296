"""Defines the values of options with a choice, as types from which the check, `--help` and the docs are made."""

from __future__ import annotations

from typing import Literal, get_args

from tl_keras.errors import ConfigError, nearest

Method = Literal["auto", "replicate", "feature_extraction", "fine_tune"]
Head = Literal["linear", "mlp"]
Pooling = Literal["", "average", "max"]
BatchNormPolicy = Literal["freeze", "train", "recalibrate"]
Augmentation = Literal["", "none", "light", "strong", "own"]  # own: a function of the program's
OnOffAuto = Literal["auto", "on", "off"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["none", "balanced"]
LossName = Literal["", "cross_entropy", "focal", "asymmetric", "logit_adjustment", "huber", "squared"]
Refit = Literal["", "auto", "off"]
Mixtures = Literal["on", "off"]
Background = Literal["white", "black"]
ResizeRule = Literal["", "auto", "original", "squash", "pad"]
Precision = Literal["auto", "float32", "bfloat16"]
Strategy = Literal["auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu", "jax"]
InferenceEngine = Literal["auto", "keras", "tf_graph", "tf_graph_bf16", "xla", "openvino", "openvino_bf16"]
CacheDtype = Literal["float32", "float16"]

# These are parts of a text, as in `--export=litert,onnx`.
ExportFormat = Literal[
    "saved_model", "litert", "litert_float16", "litert_dynamic_int8", "litert_int8", "onnx", "openvino"
]
SplitMeaning = Literal["train", "validation", "test", "unused"]
Column = Literal["image", "text", "label", "split", "group"]

# What the labels of an image are: one class, one of classes that have an order, several labels or none, or numbers.
LabelKind = Literal["class", "order", "labels", "numbers"]

METHODS: tuple[Method, ...] = get_args(Method)[1:]  # auto becomes one of the others before a run begins
EXPORTS: tuple[ExportFormat, ...] = get_args(ExportFormat)

# How a trained model looks at an image: once, or at several views whose answers are averaged (test-time augmentation).
ANSWERED_VIEWS = ("none", "mirror", "crops")

_TASKS: dict[str, LabelKind] = {
    "auto": "class",
    "single_label": "class",
    "multi_label": "labels",
    "ordinal": "order",
    "regression": "numbers",
}

# The losses that a task knows by name, its own first.
_LOSSES: dict[str, tuple[LossName, ...]] = {
    "auto": ("cross_entropy", "focal", "logit_adjustment"),
    "single_label": ("cross_entropy", "focal", "logit_adjustment"),
    "multi_label": ("cross_entropy", "focal", "asymmetric"),
    "ordinal": (),
    "regression": ("huber", "squared"),
}

EXPECTED_SOURCE = (
    "a directory, an archive (.zip, .tar, .tar.gz), csv:FILE, parquet:FILE, tfrecord:GLOB, webdataset:GLOB, tfds:NAME, hf:FOLDER, "
    "npz:FILE, txt:FOLDER, digits, or gs://, s3:// or https:// to such an archive or directory"
)


def add_task_name(name: str, labels: LabelKind, losses: tuple[LossName, ...] = ()) -> None:
    """Makes the name of a task known, with the kind of labels that it learns and its losses; see `tl_keras.register_task`."""
    _TASKS[name], _LOSSES[name] = labels, losses


def label_kind_of(name: str) -> LabelKind:
    """Returns the kind of labels that a task learns.

    Raises:
      ConfigError: No task of that name is known.
    """
    require_task_name(name)
    return _TASKS[name]


def losses_of(name: str) -> tuple[LossName, ...]:
    """Returns the names of the losses that a task knows, its own first; none for a task with a single one."""
    return _LOSSES[name]


def tasks_with(loss: LossName) -> list[str]:
    """Returns the names of the tasks that know a loss."""
    return [name for name, losses in _LOSSES.items() if loss in losses and name != "auto"]


def require_task_name(name: str) -> None:
    """Raises a ConfigError unless a task of that name is known.

    Raises:
      ConfigError: None is.
    """
    if name not in _TASKS:
        raise ConfigError(
            f"task: expected one of {', '.join(_TASKS)}. Received: {name}. {nearest(name, tuple(_TASKS))} A task of "
            "your own is known once tl_keras.register_task was called in this process."
        )
