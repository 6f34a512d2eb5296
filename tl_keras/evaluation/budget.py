"""Reads from a run's result how far it had come after some seconds, and whether it had converged at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.runs.records import RunResult
from tl_keras.runs.stopwatch import AFTER_LAST_EPOCH

# A run that still improved in this last part of its time should train longer.
_LAST_PART = 0.2

# From one end of a 95% interval to the other, in standard errors.
_STANDARD_ERRORS_IN_95 = 2 * 1.96


def score_interval(result: RunResult) -> tuple[float, float]:
    """Returns the 95% interval of a run's score."""
    if result.interval is None:  # an earlier version, which knew accuracies alone
        return accuracy_interval(result.score, result.images[result.split])
    low, high = result.interval
    return low, high


def score_by(result: RunResult, seconds: float) -> float | None:
    """Returns the best validation score that a run had reached after some seconds; None if it had none yet.

    Args:
      result: Result of the run.
      seconds: Time since the start of the run, preparation included.
    """
    reached = [score for elapsed, score in result.best_scores if elapsed <= seconds]
    return reached[-1] if reached else None


def still_rising(result: RunResult) -> bool:
    """Returns whether the validation score rose by more than one standard error in the last fifth of a run.

    The run ends here with its last epoch: what follows cannot raise the score.
    """
    if not result.best_scores:  # an earlier version did not measure it
        return False
    total = sum(seconds for part, seconds in result.seconds.items() if part not in AFTER_LAST_EPOCH)
    best = result.best_scores[-1][1]
    earlier = score_by(result, (1 - _LAST_PART) * total)
    low, high = score_interval(result)
    standard_error = (
        (high - low) / _STANDARD_ERRORS_IN_95 * math.sqrt(result.images[result.split] / result.images["validation"])
    )
    return earlier is None or best - earlier > standard_error


def equal_time(results: Sequence[RunResult]) -> float:
    """Returns the seconds that the fastest of several runs took, the time at which all of them can be compared."""
    return min(result.total_seconds for result in results)
