"""The flags of the commands that train: each sets a field of the config."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import config_flags

from tl_keras import source_flags
from tl_keras.config import EXPORTS, TransferConfig
from tl_keras.data.source_names import check_source
from tl_keras.errors import BackboneError, ConfigError

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`

_TEACHER_SUFFIXES = (".keras", ".h5", ".pth")
_RECIPES = pathlib.Path(__file__).parent / "recipes"

# Flag, its type, the field that it sets, and what --help says of it.
_FIELDS = (
    ("data", "string", "data.source", source_flags.HELP["data"]),
    *(
        (name, "string", f"data.{name}", source_flags.HELP[name])
        for name in ("data_dir", "splits", "columns", "images_in")
    ),
    ("task", "string", "task", source_flags.HELP["task"]),
    ("max_pixels", "integer", "data.max_pixels", "The largest image; larger ones are left out."),
    ("augmentation", "string", "data.augmentation", "none, light or strong; by the method unless given."),
    (
        "augmented_views",
        "integer",
        "data.augmented_views",
        "Views of each image, in turn, that frozen layers see once.",
    ),
    (
        "backbone",
        "string",
        "model.backbone",
        "The teacher: a name that python -m tl_keras.backbones lists, or a .keras file.",
    ),
    (
        "weights",
        "string",
        "model.weights",
        "imagenet, embedded, none, or a .weights.h5, .h5 or .keras file; for AlexNet also PyTorch's .pth.",
    ),
    ("alpha", "float", "model.alpha", "Width of MobileNet and MobileNetV2."),
    ("image_size", "integer", "model.image_size", "Height and width in pixels; the teacher's own unless given."),
    ("resize", "string", "model.resize", "original (as the teacher was evaluated), squash or pad."),
    ("method", "string", "model.method", "replicate, feature_extraction or fine_tune; train also takes auto."),
    (
        "unfreeze",
        "string",
        "model.unfreeze",
        "With fine_tune: all, blocks:N, layers:N, fraction:F, from:NAME or regex:R.",
    ),
    ("batch_norm", "string", "model.batch_norm", "freeze, train or recalibrate, in the layers that fine_tune trains."),
    ("head", "string", "model.head", "linear or mlp."),
    (
        "epochs",
        "integer",
        "training.epochs",
        "Passes over the training images in the last phase; by their number unless given.",
    ),
    ("batch_size", "integer", "training.global_batch_size", "Images a step, over all replicas."),
    ("cache", "boolean", "cache.enabled", "Keep what frozen layers compute; --nocache: compute it at every step."),
    ("cache_dir", "string", "cache.folder", "Where; the user's cache directory unless given."),
    ("cache_gib", "float", "cache.limit_gib", "What it may take on disk, over all runs."),
    (
        "engine",
        "string",
        "cache.engine",
        "What computes them: auto, keras, tf_graph, xla, openvino, or tf_graph_bf16 or openvino_bf16.",
    ),
    (
        "strategy",
        "string",
        "strategy",
        "auto, cpu, gpu, mirrored (several GPUs), multi_worker (the machines of TF_CONFIG), tpu, or jax (any, on JAX).",
    ),
    (
        "replicas",
        "integer",
        "replicas",
        "With mirrored and jax: how many devices; without a GPU or TPU, parts of the CPU.",
    ),
    (
        "precision",
        "string",
        "precision",
        "Of the backbone while it trains: float32, bfloat16, or auto (bfloat16 on a TPU).",
    ),
    ("seed", "integer", "seed", "Decides splits, initial weights, order and augmentation."),
    ("export", "string", "export", f"Any of {','.join(EXPORTS)}, comma-separated; or none."),
)
_DEFINE: dict[str, Callable[..., Any]] = {
    "string": flags.DEFINE_string,
    "float": flags.DEFINE_float,
    "integer": flags.DEFINE_integer,
    "boolean": flags.DEFINE_boolean,
}

_TYPES = {"string": "string", "float": "float", "integer": "int", "boolean": "bool"}  # as absl calls them


def define(*, without: tuple[str, ...] = ()) -> flags.FlagHolder:
    """Defines the flags, and --config; returns the holder of the latter."""
    for name, kind, _, text in _FIELDS:
        if name not in without:
            _DEFINE[kind](name, None, text)
    return config_flags.DEFINE_config_file(
        "config", None, "A recipe, such as configs/flowers.py; --config.any.field=value sets a field of it."
    )


def config_from(holder: flags.FlagHolder) -> TransferConfig:
    """Returns the recipe's config with what the other flags set.

    Raises:
      ConfigError: The recipe gives no TransferConfig.
      BackboneError: A file of a teacher or of weights is not there.
    """
    config = holder.value
    if not isinstance(config, TransferConfig):
        recipe = flags.FLAGS["config"].serialize().partition("=")[2]
        raise ConfigError(
            f"config: expected a Python file whose get_config() returns a tl_keras.TransferConfig. Received: {recipe}."
        )
    for name, kind, field, _ in _FIELDS:
        # A command may have a flag of this name and another type, as --unfreeze of the sweep, which is a list.
        if name in flags.FLAGS and flags.FLAGS[name].present and flags.FLAGS[name].flag_type() == _TYPES[kind]:
            *parents, last = field.split(".")
            part = config
            for parent in parents:
                part = getattr(part, parent)
            setattr(part, last, flags.FLAGS[name].value)
    if config.data.source:
        check_source(config.data.source)  # what is wrong with the name is said before TensorFlow is imported
    for name, file in (("backbone", config.model.backbone), ("weights", config.model.weights)):
        if str(file).endswith(_TEACHER_SUFFIXES) and not pathlib.Path(file).is_file():
            raise BackboneError(f"{name}: expected an existing file. Received: {file}, which is not there.")
    return config


def check_workdir(workdir: str) -> None:
    """Raises a WorkdirError where a run could not be written; imports no TensorFlow."""
    from tl_keras.runs.directory import RunDirectory  # with numpy, which --help does without

    RunDirectory(workdir).check_writable()


def add_recipe_to_arguments() -> None:
    """Names a recipe where the user does not: the defaults where data are named, the quick start where nothing is."""
    names = {argument.lstrip("-").partition("=")[0] for argument in sys.argv[1:] if argument.startswith("-")}
    if "config" not in names:
        recipe = "default.py" if names & {"data", "config.data.source"} else "quick_start.py"
        sys.argv.insert(1, f"--config={_RECIPES / recipe}")  # in place: ml_collections reads its overrides there
