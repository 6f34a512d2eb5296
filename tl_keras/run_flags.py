"""Defines the flags of commands that train; each sets a field of the config."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

from absl import flags
from ml_collections import config_flags

from tl_keras import option_flags
from tl_keras.config import TransferConfig, check_options
from tl_keras.data.source_names import check_source
from tl_keras.errors import ConfigError, nearest

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`

_RECIPES = pathlib.Path(__file__).parent / "recipes"


def define(*, without: tuple[str, ...] = ()) -> flags.FlagHolder[Any]:
    """Defines the flags, and --config; returns the holder of the latter."""
    option_flags.define([name for name in option_flags.NAMES if name not in without])
    flags.declare_key_flag("verbose")
    for option in option_flags.OPTIONS.values():
        if option.type is not str:  # so that --config.any.field is read and refused as the flags are
            config_flags.register_flag_parser_for_type(option.type, option_flags.OptionParser(option.type))
    holder = config_flags.DEFINE_config_file(
        "config",
        None,
        "A recipe, such as configs/flowers.py, whose values stand before the defaults; --config.any.field=value sets a field.",
    )
    flags.FLAGS["config"].default_as_str = ""  # absl would show None
    return holder


def define_folds(left_out: str = "") -> flags.FlagHolder[int | None]:
    """Defines --folds, whose value `check_folds` judges; it is None where the flag is left out.

    Args:
      left_out: End of the help's sentence about 0, for a command that decides itself where the flag is left out.
    """
    return flags.DEFINE_integer(
        "folds",
        None,
        "Folds, such as 5: each labelled image is predicted by a model that has not seen it, and one model trains on all of "
        f"them; 0 holds images back instead{left_out}.",
        lower_bound=0,
    )


def check_folds(folds: int | None) -> None:
    """Raises a ConfigError if one fold is asked for."""
    if folds == 1:
        raise ConfigError("folds: expected 2 or more, or none. Received: --folds=1. Use --folds=5.")


def config_from(holder: flags.FlagHolder[Any]) -> TransferConfig:
    """Returns the recipe's config with the other flags applied, each option checked.

    Raises:
      ConfigError: The recipe gives no TransferConfig, or an option is out of its range.
      BackboneError: A file of a teacher or of weights is not there, or a teacher's name is unknown.
    """
    config = holder.value
    if not isinstance(config, TransferConfig):
        recipe = flags.FLAGS["config"].serialize().partition("=")[2]
        raise ConfigError(
            f"config: expected a Python file whose get_config() returns a tl_keras.TransferConfig. Received: {recipe}."
        )
    option_flags.apply(config)
    check_options(config)
    if config.data.source:
        check_source(config.data.source)  # what is wrong with the name is said before TensorFlow is imported
    option_flags.check_teacher(config.model)
    return config


def check_workdir(workdir: str) -> None:
    """Raises a WorkdirError if a run could not be written; imports no TensorFlow."""
    from tl_keras.runs.directory import RunDirectory  # with numpy, which --help does without

    RunDirectory(workdir).check_writable()


def prepare_arguments(recipe: str = "") -> None:
    """Inserts a recipe if the user names none: the defaults if --data is given, else the quick start.

    Args:
      recipe: File name of another one, for a command that has its data from elsewhere.

    Raises:
      ConfigError: A field that is to be set is not there.
    """
    names = {argument.lstrip("-").partition("=")[0] for argument in sys.argv[1:] if argument.startswith("-")}
    for name in sorted(names):
        if name.startswith("config."):
            _require_field(name.removeprefix("config."))
    if "config" not in names:
        recipe = recipe or ("default.py" if names & {"data", "config.data.source"} else "quick_start.py")
        sys.argv.insert(1, f"--config={_RECIPES / recipe}")  # in place: ml_collections reads its overrides there


def _require_field(path: str) -> None:
    if path not in option_flags.OPTIONS:
        name = path.rpartition(".")[2]
        near = [known for known in option_flags.OPTIONS if known.rpartition(".")[2] == name]
        offered = f"Did you mean {near[0]}?" if near else nearest(path, option_flags.OPTIONS)
        raise ConfigError(
            f"--config.{path}: expected a field of the config. Received: {path}. {offered or 'See docs/options.md.'}".strip()
        )
