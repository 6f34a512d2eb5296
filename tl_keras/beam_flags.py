"""Defines the flags of the commands that can run as an Apache Beam pipeline."""

from __future__ import annotations

import importlib.util

from absl import flags

from tl_keras.errors import DependencyError

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`


def define() -> None:
    """Defines --beam and the options of its pipeline."""
    flags.DEFINE_boolean(
        "beam",
        False,
        "Computes several parts of the images at a time, as an Apache Beam pipeline; needs the extra [beam].",
    )
    flags.DEFINE_list(
        "beam_pipeline_options",
        [],
        "Options of the pipeline, such as runner=FlinkRunner,parallelism=16; by default it runs on the cores of this machine.",
    )


def beam_options() -> list[str] | None:
    """Returns the options of the pipeline, or None where none is asked for.

    Raises:
      DependencyError: The package is missing.
    """
    if not flags.FLAGS.beam:
        return None
    if importlib.util.find_spec("apache_beam") is None:
        raise DependencyError("beam: expected the package apache-beam. Run: pip install 'tl_keras[beam]'")
    return list(flags.FLAGS.beam_pipeline_options)
