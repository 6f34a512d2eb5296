"""Measures the time of a run by part, without gaps: the parts add up to what the person waited."""

from __future__ import annotations

import time
from collections.abc import Mapping

# Parts of a run that begin after the last epoch whose validation score is in its history; `all images` trains without validation.
AFTER_LAST_EPOCH = ("all images", "evaluating", "packaging", "reporting", "exporting")


class Stopwatch:
    """Divides the time since the start of a command into parts, one after the other.

    Args:
      began: Start of the command by `time.perf_counter`; None means now.
      part: Name of the first part.
    """

    def __init__(self, *, began: float | None = None, part: str = "preparing"):
        self._since = time.perf_counter() if began is None else began
        self._part = part
        self._seconds: dict[str, float] = {}
        self._earlier: dict[str, float] = {}

    def start(self, part: str) -> None:
        """Ends the current part and begins another; a part may be resumed several times."""
        self.seconds()
        self._part = part

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds the seconds that earlier processes spent on the same run."""
        for part, spent in seconds.items():
            self._earlier[part] = self._earlier.get(part, 0.0) + spent

    def seconds(self) -> dict[str, float]:
        """Returns the seconds of each part so far, in the order in which they began."""
        now = time.perf_counter()
        self._seconds[self._part] = self.here(self._part) + now - self._since
        self._since = now
        parts = dict.fromkeys([*self._earlier, *self._seconds])
        return {part: self._earlier.get(part, 0.0) + self.here(part) for part in parts}

    def here(self, part: str) -> float:
        """Returns the seconds that this process has spent on a part that is over; 0 if it had no such part."""
        return self._seconds.get(part, 0.0)

    @property
    def total(self) -> float:
        """Returns the seconds of all parts so far."""
        return sum(self.seconds().values())
