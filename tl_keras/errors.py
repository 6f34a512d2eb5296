"""Defines the errors that a user can cause, as one tree.

```
TransferError                 base class; always one line a user can act on
├── ConfigError               an option, or a combination of options, that cannot work
├── DataError                 the images, labels or splits
├── BackboneError             the pre-trained model, its weights, or a cut through it
├── WorkdirError              the run directory: not writable, full, or holding another run
├── DependencyError           a package or a device that is not there
├── TrainingError             training itself failed (exit status 1)
└── ExportError               the exported model does not agree with training (exit status 1)
```

Every message says what was expected, what was received and the remedy. Commands print it as a single line on stderr and
exit with `exit_status`; a traceback appears only for a bug in tl_keras.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class TransferError(Exception):
    """Base class of every error that a user can cause and fix. The message is one line.

    Example:
      ```python
      import tl_keras

      try:
          tl_keras.predict_images("no_such_run", "photo.jpg")
      except tl_keras.TransferError as error:
          print(error)  # model: expected a run directory with model.keras, ... Received: no_such_run.
      ```
    """

    exit_status = 2


class ConfigError(TransferError):
    """An option, or a combination of options, that cannot work."""


class DataError(TransferError):
    """The images, labels or splits cannot be used."""


class BackboneError(TransferError):
    """The pre-trained model, its weights, or the requested cut cannot be used."""


class WorkdirError(TransferError):
    """The run directory cannot be written, is full, or belongs to another run."""


class DependencyError(TransferError):
    """A package or a device that the request needs is missing."""


class TrainingError(TransferError):
    """Training started and could not go on, for example because the loss is no longer finite."""

    exit_status = 1


class ExportError(TransferError):
    """The exported model does not reproduce the numbers of training."""

    exit_status = 1


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; like Ctrl-C it is not an error, so handlers of errors do not catch it."""

    exit_status = 143  # 128 + 15, as shells report the signal


@contextlib.contextmanager
def if_stopped(continuation: str) -> Iterator[None]:
    """Attaches to a Ctrl-C or SIGTERM within the context what is done and how it continues; an inner context has precedence.

    Args:
      continuation: Sentence for the person who stopped the process, such as "the same command continues from the last epoch".
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = stop.args or (continuation,)
        raise


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """Puts the name of an option before the message of a DataError within the context, since a run may read several sources.

    Args:
      option: Name of the option, such as "unlabelled".

    Raises:
      DataError: The error, with the name.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{option}: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns "Did you mean A or B? " for the known names closest to `name`, or an empty string."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(by_lower_case[match] for match in matches)}? " if matches else ""
