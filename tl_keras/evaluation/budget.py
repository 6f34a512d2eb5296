"""Reads from a run's result how far it had come after some seconds, and whether it had converged at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tl_keras.runs.records import RunResult

# A run that still improved in this last part of its time should train longer.
_LAST_PART = 0.2


def accuracy_by(result: RunResult, seconds: float) -> float | None:
    """Returns the best validation accuracy, 0 to 1, that a run had reached after some seconds; None if it had none yet.

    Args:
      result: Result of the run.
      seconds: Time since the start of the run, preparation included.
    """
    reached = [each["validation_accuracy"] for each in result.time_to_accuracy if each["seconds"] <= seconds]
    return reached[-1] if reached else None


def still_rising(result: RunResult) -> bool:
    """Returns whether validation accuracy rose by more than one standard error in the last fifth of a run."""
    if not result.time_to_accuracy:  # an earlier version did not measure it
        return False
    total = sum(seconds for part, seconds in result.seconds.items() if part not in ("evaluating", "exporting"))
    best = result.time_to_accuracy[-1]["validation_accuracy"]
    earlier = accuracy_by(result, (1 - _LAST_PART) * total) or 0.0
    return best - earlier > math.sqrt(best * (1 - best) / result.images["validation"])


def equal_time(results: Sequence[RunResult]) -> float:
    """Returns the seconds that the fastest of several runs took, the time at which all of them can be compared."""
    return min(result.total_seconds for result in results)
