"""Estimates how long a run still takes, with the phases to come, the report and the exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tl_keras.config import TransferConfig, export_formats
from tl_keras.training.inputs import PhaseInputs
from tl_keras.training.phases import Phase

# A training step by the time of a forward pass through the frozen graph: Keras takes a third longer (docs/benchmarks.md), and the
# gradients take two passes more.
_PASSES_A_STEP = 4.0

# Measuring with the report, and each export in a process of its own, by the time that importing TensorFlow takes, which commands
# measure; in a program, some seconds. Of some thirty runs on a busy machine reports took 0.7 to 4.2 times as long, half of them
# less than 1.3, and exports 0.8 to 8.0, half of them less than 3.0.
_REPORT, _EXPORT, _IMPORT_SECONDS = 1.5, 3.0, 4.0


@dataclasses.dataclass(frozen=True)
class TimeLeft:
    """The time after a phase, as far as it is known.

    Attributes:
      seconds: Estimated seconds of the later phases that are known, and of what follows the last.
      unknown: Names of later phases whose epochs nobody has timed.
      again: Times that the current phase is trained again later, by the number of images.
    """

    seconds: float = 0.0
    unknown: tuple[str, ...] = ()
    again: float = 0.0

    def in_words(self, of_phase: float, *, whole: float) -> str:
        """Returns the time left of a run, such as "40 s left" or "12 s left, then fine-tuning".

        Args:
          of_phase: Seconds that the current phase still takes.
          whole: Seconds of the whole phase.
        """
        if self.unknown:
            return f"{duration(of_phase)} left, then {', '.join(self.unknown)}"
        return f"{duration(of_phase + self.again * whole + self.seconds)} left"


def time_after(
    position: int,
    phases: Sequence[Phase],
    inputs: Sequence[PhaseInputs],
    *,
    images: int,
    config: TransferConfig,
    seconds: Mapping[str, float],
    importing: float,
    refit_on: int = 0,
    trained_on: int = 0,
) -> TimeLeft:
    """Returns the time that a run takes after one of its phases.

    Args:
      position: Position of the phase.
      phases: Phases of the run.
      inputs: Inputs of each phase.
      images: Number of training images.
      config: Resolved config, whose exports follow.
      seconds: Seconds of each part so far, of all processes.
      importing: Seconds in which this process imported TensorFlow, which tell how fast this machine starts one; 0 if it had before.
      refit_on: Number of images on which all phases are trained again afterwards, or 0.
      trained_on: Number of images on which they have been trained before, and took `seconds`, or 0.
    """
    again = refit_on / images
    known, unknown = again * sum(seconds.get(phase.name, 0.0) for phase in phases[:position]), []
    for phase, of_phase in zip(phases[position + 1 :], inputs[position + 1 :], strict=True):
        if trained_on:
            known += images / trained_on * seconds.get(phase.name, 0.0)
        elif of_phase.forward_seconds is None:
            unknown.append(phase.name)
        else:
            known += (1 + again) * phase.epochs * images * _PASSES_A_STEP * of_phase.forward_seconds
    starts = _REPORT + _EXPORT * len(export_formats(config.export))
    return TimeLeft(known + starts * (importing or _IMPORT_SECONDS), tuple(unknown), again)


def duration(seconds: float) -> str:
    """Returns seconds in words: "40 s", "12 min", "2 h 05 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
