"""Defines the flags of commands that read a source of images without a whole config; nothing here imports TensorFlow."""

from __future__ import annotations

from absl import flags

from tl_keras import option_flags
from tl_keras.config import TransferConfig
from tl_keras.data.source_names import check_source

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`


def define(*more: str) -> None:
    """Defines --data and the flags that control how it is read.

    Args:
      *more: Names of further flags that set an option of the config.
    """
    option_flags.define(
        ("data", "data_dir", "splits", "columns", "images_in", "group_by", "class_order", "task", *more)
    )


def config_from_flags() -> TransferConfig:
    """Returns the default config with the flags applied, checked as far as possible without TensorFlow.

    Raises:
      TransferError: A flag or the name of the source is wrong.
    """
    config = TransferConfig()
    option_flags.apply(config)
    check_source(config.data.source)
    option_flags.check_teacher(config.model)
    return config
