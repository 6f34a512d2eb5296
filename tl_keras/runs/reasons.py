"""Records in a run directory why the images decided as they did on what the run left to them."""

from __future__ import annotations

from collections.abc import Sequence

from tl_keras.files import reading, writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.untrusted import parse_json

_FILE = "decisions.json"


def write_decisions(run: RunDirectory, reasons: Sequence[str]) -> None:
    """Writes the reasons, a sentence each; the run need not have begun.

    Raises:
      WorkdirError: The directory is not writable.
    """
    with writing(run.path):
        run.path.mkdir(parents=True, exist_ok=True)
    run.write_json(_FILE, {"reasons": list(reasons)})


def add_decisions(run: RunDirectory, reasons: Sequence[str]) -> None:
    """Adds reasons, a sentence each, to those that are written; one that is there stays as it is.

    Raises:
      WorkdirError: The directory is not writable.
    """
    known = read_decisions(run)
    if new := [reason for reason in reasons if reason not in known]:
        write_decisions(run, [*known, *new])


def read_decisions(run: RunDirectory) -> list[str]:
    """Returns the reasons, or none if nothing was left to the images."""
    path = run.path / _FILE
    if not path.is_file():
        return []
    with reading(path):
        return [str(reason) for reason in parse_json(path.read_text(encoding="utf-8"))["reasons"]]
