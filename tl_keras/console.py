"""What a person is told while a command runs: progress on stderr, results on stdout."""

from __future__ import annotations

import enum
import sys


class Level(enum.Enum):
    """Who a message is for.

    Attributes:
      RESULT: The outcome, on stdout, where scripts read it.
      PROGRESS: What happens, on stderr, for the person who waits.
    """

    RESULT = "result"
    PROGRESS = "progress"


def say(text: str, level: Level = Level.PROGRESS) -> None:
    """Prints one message at once, also where the output is buffered."""
    print(text, file=sys.stdout if level is Level.RESULT else sys.stderr, flush=True)
