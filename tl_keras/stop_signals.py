"""Makes Ctrl-C and SIGTERM stop a command even where a library loses the exception that they raise."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from tl_keras.errors import Terminated

# Seconds until a stop that nothing has received is raised again: short beside any part of a run, long beside a destructor.
_RAISED_AGAIN_AFTER = 0.1

# Windows has no timer that interrupts: there, a stop that is lost is lost.
_TIMER = (signal.SIGALRM,) if hasattr(signal, "setitimer") else ()


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Raises `KeyboardInterrupt` on Ctrl-C and `Terminated` on SIGTERM within the context, until one of them leaves it.

    Python raises in whatever the main thread runs at that moment. In a destructor, or in a callback from native code, it prints
    the exception and drops it, and the process would go on as if nobody had stopped it. So the exception is raised again until
    code receives it; while its handlers and `finally` blocks work it is not, and neither does a second SIGTERM disturb them.
    Python's print of a dropped one, a traceback that looks like an error, is left out.
    Ctrl-C that the process ignores, as a background job of a shell does, stays ignored. Main thread only.

    Example:
      ```python
      import signal

      from tl_keras.errors import Terminated
      from tl_keras.stop_signals import stop_signals

      try:
          with stop_signals():
              signal.raise_signal(signal.SIGTERM)
      except Terminated as stop:
          print(stop.exit_status)  # 143
      ```
    """
    raises: dict[int, type[KeyboardInterrupt]] = {signal.SIGTERM: Terminated}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        raises[signal.SIGINT] = KeyboardInterrupt
    asked: list[type[KeyboardInterrupt]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if number in raises:
            asked.append(raises[number])
        _raise_again_after(_RAISED_AGAIN_AFTER)
        if number == signal.SIGINT or not _is_being_received():  # a second Ctrl-C is a person who does not want to wait
            raise asked[0]

    print_lost = sys.unraisablehook

    def print_unless_a_stop(lost: sys.UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            print_lost(lost)

    sys.unraisablehook = print_unless_a_stop
    handlers = {number: signal.signal(number, stop) for number in (*raises, *_TIMER)}
    try:
        yield
    finally:  # the signals that start the timer first; then an alarm that is on its way, which would end the process, is dropped
        for number in raises:
            signal.signal(number, handlers[number])
        for number in _TIMER:
            signal.signal(number, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(number, handlers[number])
        sys.unraisablehook = print_lost


def _raise_again_after(seconds: float) -> None:
    """Starts the timer."""
    if _TIMER:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _is_being_received() -> bool:
    """Returns whether an `except` or `finally` block that is at work was entered by a stop."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
