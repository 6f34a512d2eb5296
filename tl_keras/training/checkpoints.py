"""Saves everything that a run needs to resume exactly, in one file that is replaced atomically; keeps the last two.

A checkpoint is an `.npz` archive: the variables of model and optimizer as arrays, and a JSON record of phase, epoch,
best score and history. Keras's own weight files leave out the state of the random generators (dropout's), without
which a resumed run would differ. The archive has a checksum of each array: a torn or altered file is detected when it is
read, and the previous one is used.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.errors import WorkdirError
from tl_keras.files import replacing
from tl_keras.runs.identity import identity_differences
from tl_keras.runs.records import Progress


@dataclasses.dataclass
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
      progress: Progress of the run.
      values: Values of the variables of student and optimizer.
      kept: Values of the student's variables at the kept epoch.
      identity: Identity of the run, as `run_identity` returns it; None if an earlier version wrote none.
    """

    progress: Progress
    values: list[np.ndarray]
    kept: list[np.ndarray]
    identity: dict[str, Any] | None = None

    def require(self, identity: dict[str, Any], *, path: pathlib.Path, begun: bool) -> None:
        """Raises a WorkdirError if the checkpoint belongs to another run.

        Args:
          identity: Identity of the run that wants to resume from it.
          path: Path of the checkpoint.
          begun: Whether the run's `config.json` exists, which is enough for checkpoints of earlier versions.
        """
        different = identity_differences(identity, self.identity) if self.identity else []
        if not different and (self.identity or begun):
            return
        said = "; ".join(different[:3]) or "without config.json it is unknown which run it belongs to"
        raise WorkdirError(
            f"workdir: {path} is the checkpoint of another run ({said}). Use another --workdir, or bring back the options, images "
            "and files of that run to continue."
        )


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the values of some variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def copier_of(variables: Sequence[keras.Variable]) -> Callable[[], list[np.ndarray]]:
    """Returns a function that returns copies of the values of the same variables, time and again, as `values_of` does.

    One call of a graph copies all: to ask each by itself took a third of an epoch of a head on 60 cached images (2 cores).
    """
    if keras.backend.backend() != "tensorflow":
        return lambda: values_of(variables)
    import tensorflow as tf

    if any(isinstance(variable.value, tf.distribute.DistributedValues) for variable in variables):
        return lambda: values_of(variables)

    def copied() -> list[tf.Tensor]:
        with tf.device("CPU:0"):
            return [tf.raw_ops.DeepCopy(x=variable.value) for variable in variables]

    # Called as a `tf.function`, those of many short phases would bring TensorFlow's warning of a function that is traced too often.
    copied_at_once = tf.function(copied, autograph=False).get_concrete_function()
    return lambda: [copy.numpy() for copy in copied_at_once()]


def save_checkpoint(
    path: pathlib.Path,
    *,
    values: Sequence[np.ndarray],
    kept: Sequence[np.ndarray],
    progress: Progress,
    identity: dict[str, Any] | None = None,
) -> None:
    """Writes a checkpoint, completely or not at all; the existing one becomes `previous_of(path)`.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
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
    """Returns the path of the checkpoint before the one in a file."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def read_checkpoint(path: pathlib.Path) -> tuple[Checkpoint | None, str]:
    """Returns the last checkpoint that is intact.

    Returns:
      The checkpoint, or None if none was written; and a line that names a damaged file that was skipped, or an empty
      string.

    Raises:
      WorkdirError: Every existing file is damaged.
    """
    damage: list[str] = []
    for candidate in (path, previous_of(path)):
        if candidate.exists():
            try:
                checkpoint = _read(candidate)
            except Exception as error:  # zipfile, zlib, NumPy and json each raise their own types for a damaged file
                damage.append(f"{candidate} is damaged ({str(error) or type(error).__name__})")
                continue
            if damage:  # moved away, so that the next write does not make it the previous checkpoint
                path.replace(path.with_name(f"{path.stem}.damaged{path.suffix}"))
            return checkpoint, "; ".join(damage)
    if damage:
        raise WorkdirError(
            f"workdir: {'; '.join(damage)}. Remove {path.parent} to start the run again from the beginning."
        )
    return None, ""


def _read(path: pathlib.Path) -> Checkpoint:
    """Reads every array of a file, and so its checksum; raises the libraries' own errors if it is damaged."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        record = json.loads(str(archive["record"]))
        values, kept = (
            [archive[f"{kind}_{i}"] for i in range(sum(name.startswith(f"{kind}_") for name in archive.files))]
            for kind in ("value", "kept")
        )
    identity = record.pop("identity", None)
    return Checkpoint(Progress.from_json(record), values, kept, identity)


def restore(path: pathlib.Path, variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Sets variables to their values in a checkpoint.

    Raises:
      WorkdirError: The values belong to other variables.
    """
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise WorkdirError(
            f"workdir: {path} belongs to another model. Remove it to start the run again from the beginning."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
