"""Trains a student on your images and exports it.

    python -m tl_keras.train --data=photos/ --workdir=run1
    python -m tl_keras.train --data=photos/ --workdir=run2 --backbone=ResNet50 --method=fine_tune --unfreeze=blocks:2
    python -m tl_keras.train --config=configs/flowers.py --workdir=run3 --config.training.weight_decay=0.001
    python -m tl_keras.train                                (the quick start: nothing to download)

A flag beats the config file, which beats the default. The same command on the same --workdir goes on where it was
killed; when the run is finished, it says so. Exit status: 0 done, 2 bad arguments or bad input, 1 training or export
failed.
"""

from __future__ import annotations

import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from tl_keras import command_line
from tl_keras.config import EXPORTS, TransferConfig
from tl_keras.errors import ConfigError

_RECIPES = pathlib.Path(__file__).parent / "recipes"

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "A recipe, such as configs/flowers.py; --config.any.field=value sets a field of it."
)
_WORKDIR = flags.DEFINE_string("workdir", "tl_keras_run", "The run directory: what is written, and what is resumed.")
_COMPARE = flags.DEFINE_enum(
    "compare",
    None,
    ["methods"],
    "methods: train replicate, feature_extraction and fine_tune, and print them side by side.",
)
_SEEDS = flags.DEFINE_integer("seeds", 1, "With --compare: runs of each, with seeds from --seed up.", lower_bound=1)

# What each plain flag sets in the config.
_FIELDS = {
    "data": "data.source",
    "data_dir": "data.data_dir",
    "augmentation": "data.augmentation",
    "backbone": "model.backbone",
    "weights": "model.weights",
    "alpha": "model.alpha",
    "image_size": "model.image_size",
    "resize": "model.resize",
    "method": "model.method",
    "unfreeze": "model.unfreeze",
    "head": "model.head",
    "epochs": "training.epochs",
    "batch_size": "training.global_batch_size",
    "learning_rate": "training.learning_rate",
    "strategy": "strategy",
    "seed": "seed",
    "export": "export",
}
flags.DEFINE_string("data", None, "A directory, csv:FILE, tfrecord:GLOB, tfds:NAME[/config], npz:FILE or digits.")
flags.DEFINE_string("data_dir", None, "Where prepared TFDS datasets lie.")
flags.DEFINE_string("augmentation", None, "none, light or strong.")
flags.DEFINE_string("backbone", None, "The teacher: a name that python -m tl_keras.backbones lists, or a .keras file.")
flags.DEFINE_string(
    "weights", None, "imagenet, embedded, none, or a .weights.h5, .h5 or .keras file; for AlexNet also PyTorch's .pth."
)
flags.DEFINE_float("alpha", None, "Width of MobileNet and MobileNetV2.")
flags.DEFINE_integer("image_size", None, "Height and width in pixels; the teacher's own unless given.")
flags.DEFINE_string("resize", None, "original (as the teacher was evaluated), squash or pad.")
flags.DEFINE_string("method", None, "replicate, feature_extraction or fine_tune.")
flags.DEFINE_string("unfreeze", None, "With fine_tune: all, blocks:N, layers:N, fraction:F, from:NAME or regex:R.")
flags.DEFINE_string("head", None, "linear or mlp.")
flags.DEFINE_integer("epochs", None, "Passes over the training images in the last phase.")
flags.DEFINE_integer("batch_size", None, "Images a step, over all replicas.")
flags.DEFINE_float("learning_rate", None, "Peak rate of the random weights: the head, or the network in replicate.")
flags.DEFINE_string("strategy", None, "auto, cpu or gpu.")
flags.DEFINE_integer("seed", None, "Decides splits, initial weights, order and augmentation.")
flags.DEFINE_string("export", None, f"Any of {','.join(EXPORTS)}, comma-separated; or none.")


def main(arguments: list[str]) -> None:
    """Trains what the flags say and prints the result on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    config = _CONFIG.value
    if not isinstance(config, TransferConfig):
        recipe = flags.FLAGS["config"].serialize().partition("=")[2]
        raise ConfigError(
            f"config: expected a Python file whose get_config() returns a tl_keras.TransferConfig. Received: {recipe}."
        )
    for flag, field in _FIELDS.items():
        if flags.FLAGS[flag].present:
            *parents, name = field.split(".")
            part = config
            for parent in parents:
                part = getattr(part, parent)
            setattr(part, name, flags.FLAGS[flag].value)

    if _COMPARE.value == "methods":
        from tl_keras.training.comparison import compare_methods, table

        print(table(compare_methods(config, _WORKDIR.value, seeds=_SEEDS.value)))
        return

    from tl_keras.training.loop import train_and_evaluate

    result = train_and_evaluate(config, _WORKDIR.value)
    print(summary(result, _WORKDIR.value))


def summary(result: dict, workdir: str) -> str:
    """Returns what a finished run came to, in a few lines."""
    accuracies = [
        f"{name} {result[f'{name}_accuracy']:.4f}" for name in ("test", "validation") if f"{name}_accuracy" in result
    ]
    exported = "".join(f", {workdir}/{export['path']}" for export in result["export"])
    return (
        f"accuracy: {', '.join(accuracies)}  (best after epoch {result['best_epoch']}, {result['best_phase']})\n"
        f"parameters: {result['parameters_trained']:,} trained, {result['parameters_frozen']:,} frozen\n"
        f"seconds: {sum(result['seconds'].values()):.0f}; images a second: {result['images_per_second']:.0f}\n"
        f"wrote: {workdir}/model.keras{exported}, {workdir}/result.json"
    )


def _with_recipe(arguments: list[str]) -> list[str]:
    """Returns the arguments with a recipe: the defaults where only data are named, the quick start where nothing is."""
    names = {argument.lstrip("-").partition("=")[0] for argument in arguments if argument.startswith("-")}
    if "config" in names:
        return arguments
    recipe = "default.py" if names & {"data", "config.data.source"} else "quick_start.py"
    return [f"--config={_RECIPES / recipe}", *arguments]


if __name__ == "__main__":
    sys.argv[1:] = _with_recipe(sys.argv[1:])  # in place: ml_collections reads the overrides from sys.argv
    command_line.run(main, usage=__doc__)
