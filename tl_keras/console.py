"""Prints to people while a command runs: progress on stderr, results on stdout, and names that cannot control a terminal."""

from __future__ import annotations

import enum
import importlib
import io
import os
import re
import sys
import tempfile
from typing import TextIO

# C0 and C1 control codes, Unicode's line breaks, characters that reverse the direction of writing, and bytes outside UTF-8.
_CODES = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT = re.compile(f"[{_CODES}]")
_IN_NAME = re.compile(f"[{_CODES}\t\n\r]")


class Level(enum.Enum):
    """The audience of a message.

    Attributes:
      RESULT: Outcome on stdout, where scripts read it.
      PROGRESS: Progress on stderr, for the person who waits; in a notebook on stdout.
      DETAIL: Facts about the computation, on stderr with `--verbose` only.
    """

    RESULT = "result"
    PROGRESS = "progress"
    DETAIL = "detail"


_details_shown = False


def show_details(shown: bool = True) -> None:
    """Decides whether messages of `Level.DETAIL` are printed, in this process."""
    global _details_shown
    _details_shown = shown


def details_are_shown() -> bool:
    """Returns whether messages of `Level.DETAIL` are printed."""
    return _details_shown


def say(text: str, level: Level = Level.PROGRESS) -> None:
    """Prints one message at once, even if the output is buffered; a detail only if details are shown."""
    if level is Level.DETAIL and not _details_shown:
        return
    print(text, file=sys.stdout if level is Level.RESULT else progress_stream(), flush=True)


def in_notebook() -> bool:
    """Returns whether stderr is ipykernel's output below a cell of a notebook."""
    return type(sys.stderr).__module__ == "ipykernel.iostream"


def progress_stream() -> TextIO:
    """Returns the stream for progress: stderr, but in a notebook, which shows that in red, stdout."""
    return sys.stdout if in_notebook() else sys.stderr


def number_of(count: int, noun: str) -> str:
    """Returns "1 image", "12 images", "2 classes"."""
    return f"{count} {noun if count == 1 else noun + ('es' if noun.endswith('s') else 's')}"


def part_in_digits(part: float, digits: int = 4) -> str:
    """Returns a part of a whole, 0 to 1, with more digits where fewer would make nothing or the whole of it.

    Args:
      part: The part, such as a threshold of a probability.
      digits: Digits behind the point, as a rule.
    """
    while 0 < part < 1 and float(f"{part:.{digits}f}") in (0.0, 1.0):
        digits += 1
    return f"{part:.{digits}f}"


def in_digits(value: float, digits: int = 3) -> str:
    """Returns a number with so many digits that count, such as "2.68", and a large one whole: "250,000", not "2.5e+05".

    Args:
      value: The number.
      digits: Digits that count.
    """
    return f"{value:,.0f}" if 10**digits - 0.5 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def in_words(name: str) -> str:
    """Returns a name of an option or a key, such as `balanced_accuracy`, in words, or with its sign: `r2` is R²."""
    return "R²" if name == "r2" else name.replace("_", " ")


def printable(name: object) -> str:
    r"""Returns a name on one line, with `\x1b` for an escape code, `\n` for a line break, and so on."""
    return _IN_NAME.sub(_escaped, str(name))


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, printable and without its full stop; of an empty one its type."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0][:300]).rstrip(".")


def protect_terminal() -> None:
    r"""Makes stdout and stderr write escape codes, and characters that their encoding lacks, as `\x1b` and the like."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _Printable):
            stream.flush()
            setattr(sys, name, _Printable(stream))


class _Printable(io.TextIOWrapper):
    """A standard stream that shows control codes in names of files and classes instead of obeying them."""

    def __init__(self, stream: io.TextIOWrapper):
        super().__init__(
            stream.buffer, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering, write_through=True
        )
        self._kept = stream  # would close the buffer when collected

    def write(self, text: str) -> int:
        """Writes text with all control codes escaped except tabs and line ends."""
        return super().write(_IN_TEXT.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def import_quietly(module: str) -> None:
    """Imports a module, and holds back what its compiled code writes to stderr, where no log level applies yet.

    Args:
      module: Name of the module.

    Raises:
      ImportError: It cannot be imported; what it wrote is printed.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            importlib.import_module(module)
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
