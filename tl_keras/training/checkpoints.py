"""Checkpoints: everything that a run needs to go on exactly, in one file that is replaced atomically.

A checkpoint is an `.npz` archive: the variables of model and optimizer as arrays, and a JSON record of phase, epoch,
best score and history. Keras's own weight files leave out the state of the random generators (dropout's), without
which a resumed run is another run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.errors import WorkdirError
from tl_keras.training.run_directory import replacing


@dataclasses.dataclass
class Progress:
    """How far a run has come.

    Attributes:
      phase: Position of the phase in the run.
      phase_epochs: Epochs of that phase that are done.
      phase_over: Whether early stopping has ended it.
      epochs_since_best: Epochs of that phase since its own best score.
      phase_best_score: Best score within that phase, or None.
      best_score: Best validation accuracy and negative loss of the run, or None before the first epoch.
      best_phase: Name of the phase that reached it.
      best_epoch: Epoch of the run, from 1, that reached it.
      history: A dictionary for each epoch of the run, as in metrics.jsonl.
    """

    phase: int = 0
    phase_epochs: int = 0
    phase_over: bool = False
    epochs_since_best: int = 0
    phase_best_score: tuple[float, float] | None = None
    best_score: tuple[float, float] | None = None
    best_phase: str = ""
    best_epoch: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def at_start_of(self, phase: int) -> Progress:
        """Returns the progress with which a phase begins: the run's best and history so far, nothing of the phase."""
        return dataclasses.replace(
            self, phase=phase, phase_epochs=0, phase_over=False, epochs_since_best=0, phase_best_score=None
        )


def save_checkpoint(path: pathlib.Path, *, variables: Sequence[keras.Variable], progress: Progress) -> None:
    """Writes variables and progress to one file, whole or not at all.

    Raises:
      WorkdirError: The disk is full or the place cannot be written.
    """
    arrays = {f"variable_{i}": np.asarray(keras.ops.convert_to_numpy(variable)) for i, variable in enumerate(variables)}
    record = json.dumps(dataclasses.asdict(progress))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, record=np.asarray(record), **arrays)


def read_progress(path: pathlib.Path) -> Progress | None:
    """Returns the progress in a checkpoint, or None where there is no file.

    Raises:
      WorkdirError: The file is damaged.
    """
    if not path.is_file():
        return None
    with _opened(path) as archive:
        record = json.loads(str(archive["record"]))
    for name in ("best_score", "phase_best_score"):
        record[name] = tuple(record[name]) if record[name] is not None else None
    return Progress(**record)


def restore_variables(path: pathlib.Path, variables: Sequence[keras.Variable]) -> None:
    """Fills variables from a checkpoint that was saved from the same variables in the same order.

    Raises:
      WorkdirError: The file is damaged or has other variables.
    """
    with _opened(path) as archive:
        shapes = [archive[f"variable_{i}"].shape for i in range(len(archive.files) - 1)]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise WorkdirError(f"workdir: {path} belongs to another model. Remove it to start the run anew.")
        for i, variable in enumerate(variables):
            variable.assign(archive[f"variable_{i}"])


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Opens an archive; whatever damage shows, now or while it is read, is a WorkdirError that names the file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WorkdirError(f"workdir: {path} is damaged ({error}). Remove it to start the run anew.") from error
