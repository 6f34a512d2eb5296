"""Checkpoints: everything that a run needs to go on exactly, in one file that is replaced atomically; the last two are kept.

A checkpoint is an `.npz` archive: the variables of model and optimizer as arrays, and a JSON record of phase, epoch,
best score and history. Keras's own weight files leave out the state of the random generators (dropout's), without
which a resumed run is another run. The archive has a checksum of each array: a torn or altered file is found when it is
read, and the one before it is used.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.errors import WorkdirError
from tl_keras.files import replacing
from tl_keras.runs.directory import identity_differences
from tl_keras.runs.records import Progress


@dataclasses.dataclass
class Checkpoint:
    """What `save_checkpoint` wrote.

    Attributes:
      progress: How far the run had come.
      values: Of the variables of student and optimizer.
      kept: Of the variables of the student, at the epoch that is kept.
      identity: What it is a checkpoint of, as `run_identity` gives it; None: an earlier version wrote it, without.
    """

    progress: Progress
    values: list[np.ndarray]
    kept: list[np.ndarray]
    identity: dict[str, Any] | None = None

    def require(self, identity: dict[str, Any], *, path: pathlib.Path, begun: bool) -> None:
        """Raises a WorkdirError where it is a checkpoint of another run.

        Args:
          identity: Of the run that is to go on from it.
          path: Where it lies.
          begun: Whether the run's `config.json` is there, which vouches for checkpoints of earlier versions.
        """
        different = identity_differences(identity, self.identity) if self.identity else []
        if not different and (self.identity or begun):
            return
        said = "; ".join(different[:3]) or "which run it is of is unknown without config.json"
        raise WorkdirError(
            f"workdir: {path} is the checkpoint of another run ({said}). Use another --workdir, or bring back the options, images "
            "and files of that run to go on."
        )


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the values of some variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def save_checkpoint(
    path: pathlib.Path,
    *,
    values: Sequence[np.ndarray],
    kept: Sequence[np.ndarray],
    progress: Progress,
    identity: dict[str, Any] | None = None,
) -> None:
    """Writes one file, whole or not at all; the one that was there becomes `previous_of(path)`.

    Raises:
      WorkdirError: The disk is full or the place cannot be written.
    """
    arrays: dict[str, Any] = {f"value_{i}": value for i, value in enumerate(values)}
    arrays |= {f"kept_{i}": value for i, value in enumerate(kept)}
    record = json.dumps({**progress.to_json(), "identity": identity})
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, record=np.asarray(record), **arrays)
        if path.is_file():
            path.replace(previous_of(path))


def previous_of(path: pathlib.Path) -> pathlib.Path:
    """Returns where the checkpoint before the one in a file is."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def read_checkpoint(path: pathlib.Path) -> tuple[Checkpoint | None, str]:
    """Returns the last checkpoint that is whole.

    Returns:
      The checkpoint, or None where none was written; and a line that names a damaged file which was passed over, or an
      empty string.

    Raises:
      WorkdirError: Each file that is there is damaged.
    """
    damage: list[str] = []
    for candidate in (path, previous_of(path)):
        if candidate.exists():
            try:
                checkpoint = _read(candidate)
            except Exception as error:  # zipfile, zlib, NumPy and json each raise their own kinds for a damaged file
                damage.append(f"{candidate} is damaged ({str(error) or type(error).__name__})")
                continue
            if damage:  # out of the way, lest the next one written makes it the previous one
                path.replace(path.with_name(f"{path.stem}.damaged{path.suffix}"))
            return checkpoint, "; ".join(damage)
    if damage:
        raise WorkdirError(f"workdir: {'; '.join(damage)}. Remove {path.parent} to start the run anew.")
    return None, ""


def _read(path: pathlib.Path) -> Checkpoint:
    """Reads every array of a file, and so its checksum; raises whatever the libraries do where it is damaged."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        record = json.loads(str(archive["record"]))
        values, kept = (
            [archive[f"{kind}_{i}"] for i in range(sum(name.startswith(f"{kind}_") for name in archive.files))]
            for kind in ("value", "kept")
        )
    identity = record.pop("identity", None)
    return Checkpoint(Progress.from_json(record), values, kept, identity)


def restore(path: pathlib.Path, variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Fills variables with the values that a checkpoint had of them.

    Raises:
      WorkdirError: They are the values of other variables.
    """
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise WorkdirError(f"workdir: {path} belongs to another model. Remove it to start the run anew.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
