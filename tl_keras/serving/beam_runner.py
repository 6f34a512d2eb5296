"""Runs a function over parts of the images as an Apache Beam pipeline: on the cores of this machine, or on a cluster.

Workers and this process see the same files under the same paths. Only runs that use Beam import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tl_keras.console import number_of, say
from tl_keras.errors import ConfigError, WorkdirError


def run_parts(parts: Iterable[Any], function: beam.DoFn, given: Sequence[str]) -> None:
    """Calls a function with each part, in any order and several at a time.

    Args:
      parts: The parts, of any type that pickle takes.
      function: Function that leaves what it makes in files, and yields nothing.
      given: Options of the pipeline, such as `runner=FlinkRunner`; without a runner, as many processes of this machine as it has
        cores.

    Raises:
      ConfigError: Beam does not know an option.
      WorkdirError: The pipeline fails.
    """
    options, elements = _options(given), list(parts)
    if not elements:
        return
    runner = options.view_as(StandardOptions).runner
    say(f"beam: {number_of(len(elements), 'part')} by {runner or 'processes of this machine'}")
    try:
        # Beam's own choice would be a runner that it downloads.
        with beam.Pipeline(runner or FnApiRunner(), options=options) as pipeline:
            _ = pipeline | beam.Create(elements) | beam.Reshuffle() | beam.ParDo(function)
    except Exception as error:  # of any kind, depending on the runner
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise WorkdirError(
            f"beam: expected each of {number_of(len(elements), 'part')} to be computed. Received: "
            f"{lines[-1] if lines else type(error).__name__:.300}. What was computed is kept; run the same command again."
        ) from error


def _options(given: Sequence[str]) -> PipelineOptions:
    """Returns the options of a pipeline, on all cores of this machine unless they say where."""
    flags = [f"--{option.removeprefix('--')}" for option in given]
    try:
        options = PipelineOptions(flags)
        known = options.get_all_options()
    except SystemExit as error:  # argparse has said why
        raise ConfigError(
            f"beam_pipeline_options: expected options of Apache Beam. Received: {','.join(given)}. See its documentation."
        ) from error
    if unknown := [each for each in flags if each[2:].partition("=")[0] not in known]:
        raise ConfigError(f"beam_pipeline_options: expected options of Apache Beam. Received: {', '.join(unknown)}.")
    if not options.view_as(StandardOptions).runner and not any(each.startswith("--direct") for each in flags):
        local = options.view_as(DirectOptions)
        local.direct_running_mode, local.direct_num_workers = "multi_processing", 0  # as many as cores
    return options
