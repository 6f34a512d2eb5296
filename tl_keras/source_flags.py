"""The flags of the commands that read a source of images without a whole config; nothing here imports TensorFlow."""

from __future__ import annotations

from absl import flags

from tl_keras.config import TASKS, parse_columns, parse_splits
from tl_keras.data.options import SourceOptions
from tl_keras.data.source_names import EXPECTED, check_source

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`

HELP = {
    "data": f"{EXPECTED[:1].upper()}{EXPECTED[1:]}.",
    "data_dir": "Where prepared TFDS datasets lie.",
    "splits": "What other names of splits mean: fold_1=train,fold_2=test,old=unused; none: no folder is a split.",
    "columns": "Of a table: image=id,label=breed,split=fold; group=none for one that is not to be used.",
    "images_in": "The folder of the images that a table names.",
    "task": "auto stops where labels look like several, numbers or groups; single_label takes them as they are.",
}


def define() -> None:
    """Defines --data and the flags that say how it is read."""
    for name in ("data", "data_dir", "splits", "columns", "images_in"):
        flags.DEFINE_string(name, "", HELP[name])
    flags.DEFINE_enum("task", "auto", TASKS, HELP["task"])


def source_and_options(cache_folder: str = "") -> tuple[str, SourceOptions]:
    """Returns the name of the source and how it is read, both checked as far as that needs no TensorFlow.

    Raises:
      TransferError: A flag or the name is wrong.
    """
    values = flags.FLAGS
    options = SourceOptions(values.data_dir, values.splits, values.columns, values.images_in, values.task, cache_folder)
    parse_splits(options.splits)
    parse_columns(options.columns)
    check_source(values.data)
    return values.data, options
