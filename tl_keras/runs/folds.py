"""Records in a run directory that its run is trained by folds."""

from __future__ import annotations

from typing import Any

from tl_keras.errors import WorkdirError
from tl_keras.files import reading, writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.untrusted import parse_json

_FILE = "folds.json"


def begin_folds(run: RunDirectory, folds: int) -> None:
    """Writes that a run is trained by folds, or finds that it was begun so.

    Raises:
      WorkdirError: It was begun with another number of folds, or without.
    """
    begun = folds_begun(run)
    others = f"{begun} folds" if begun else "no folds" if run.read_config() else ""
    if others and begun != folds:
        raise WorkdirError(
            f"workdir: expected a run of {folds} folds. Received: {run.path}, which has begun with {others}. Use another "
            "--workdir, or the same --folds to continue."
        )
    with writing(run.path):
        run.path.mkdir(parents=True, exist_ok=True)
    run.write_json(_FILE, {"folds": folds})


def require_no_folds(run: RunDirectory) -> None:
    """Raises a WorkdirError if a run by folds has begun in the directory: its splits hold nothing back."""
    if begun := folds_begun(run):
        raise WorkdirError(
            f"workdir: expected a run without folds. Received: {run.path}, which has begun with {begun}. Use "
            f"--folds={begun} to continue, or another --workdir."
        )


def folds_begun(run: RunDirectory) -> int:
    """Returns the number of folds with which a run has begun, or 0."""
    path = run.path / _FILE
    if not path.is_file():
        return 0
    with reading(path):
        return int(parse_json(path.read_text(encoding="utf-8"))["folds"])


def run_of_fold(run: RunDirectory, fold: int) -> RunDirectory:
    """Returns the directory of the run of a fold, counted from 0."""
    return RunDirectory(run.path / "folds" / f"fold_{fold + 1}")


def read_begun_config(run: RunDirectory) -> dict[str, Any] | None:
    """Returns what `RunDirectory.read_config` does, or of a run whose folds alone have begun, that of the first; None before."""
    return run.read_config() or run_of_fold(run, 0).read_config()
