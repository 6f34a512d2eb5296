"""The run directory: written atomically, resumed on the same config, refused on another.

```
config.json     everything resolved             model.keras    the student; takes pixels 0 to 255
splits.json     which image is in which split   saved_model/1  answers image bytes; servable as it is
metrics.jsonl   a line an epoch                 labels.txt     a class name a line, in the order of the outputs
result.json     written last: the run is done   proof.npz      images and answers that every export has to give again
report.html     made of the finished run       answers.npz    logits of the images that the accuracy was measured on
checkpoints/    to resume from                  logs/          for TensorBoard
audit.json      what an audit measured
```
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from tl_keras.config import differences, from_json, to_json
from tl_keras.errors import WorkdirError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {
    errno.EACCES,
    errno.ENOENT,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


class RunDirectory:
    """A directory that holds one run.

    Args:
      path: Where; created by `begin`, not before.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint = self.checkpoints / "last.npz"
        self.logs = self.path / "logs"
        self.model = self.path / "model.keras"
        self.proof = self.path / "proof.npz"
        self.answers = self.path / "answers.npz"

    def thrown_away(self) -> RunDirectory:
        """Returns a copy of what a run goes on from, for a process that trains along with the one that writes.

        It is gone when the process ends.
        """
        folder = tempfile.TemporaryDirectory(prefix="tl_keras_worker_")
        atexit.register(folder.cleanup)
        copy = RunDirectory(pathlib.Path(folder.name, self.path.name))
        if self.read_config():
            copy.path.mkdir()
            shutil.copyfile(self.path / "config.json", copy.path / "config.json")
        if self.checkpoints.is_dir():
            shutil.copytree(self.checkpoints, copy.checkpoints)
        return copy

    def check_writable(self) -> None:
        """Raises a WorkdirError unless the directory, or the nearest parent that exists, can be written."""
        existing = self.path
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise WorkdirError(
                f"workdir: expected a directory. Received: {self.path}, but {existing} is a file. Use another --workdir."
            )
        if not os.access(existing, os.W_OK | os.X_OK):
            raise WorkdirError(
                f"workdir: expected a directory that can be written. Received: {self.path}. Use another --workdir."
            )

    def read_config(self) -> dict[str, Any] | None:
        """Returns what `begin` wrote, or None where no run has begun here."""
        return self._read_json("config.json")

    def read_result(self) -> dict[str, Any] | None:
        """Returns the result of the finished run, or None."""
        return self._read_json("result.json")

    def read_audit(self) -> dict[str, Any] | None:
        """Returns what `tl_keras.audit` measured, or None where it has not."""
        return self._read_json("audit.json")

    def read_splits(self) -> dict[str, Any] | None:
        """Returns the ids of the images in each split, as `begin` wrote them, or None."""
        return self._read_json("splits.json")

    def check_same_run(self, config: dict[str, Any]) -> None:
        """Raises a WorkdirError if a run with another config has begun here.

        Args:
          config: The resolved config, as `tl_keras.config.to_json` gives it.
        """
        begun = self.read_config()
        if begun is None:
            return
        different = differences(deciding(config), deciding(to_json(from_json(begun["config"]))))
        if different:
            raise WorkdirError(
                f"workdir: {self.path} holds a run with another config ({'; '.join(different[:3])}"
                f"{'; ...' if len(different) > 3 else ''}). Use another --workdir, or the same options to go on."
            )

    def begin(self, *, config: dict[str, Any], data_hash: str, splits: dict[str, Any], labels: tuple[str, ...]) -> bool:
        """Creates the directory and says what the run is, or finds that it has begun already.

        Returns:
          Whether a run with this config and these data had begun here before.

        Raises:
          WorkdirError: The run that had begun has another config or other data, or the directory cannot be written.
        """
        self.check_same_run(config)
        begun = self.read_config()
        if begun is not None:
            if begun["data_hash"] != data_hash:
                raise WorkdirError(
                    f"workdir: the images have changed since the run in {self.path} began. Use another --workdir, or bring "
                    "the images back to go on."
                )
            for left_by_a_kill in list(self.path.rglob(".[0-9]*.*")):  # see `replacing`
                _remove(left_by_a_kill)
            return True
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.write_json("splits.json", splits)
        self.write_text("labels.txt", "".join(f"{label}\n" for label in labels))
        self.write_json("config.json", {"config": config, "data_hash": data_hash})  # last: now the run has begun
        return False

    def write_json(self, name: str, values: Any) -> None:
        """Writes a JSON file in the directory, whole or not at all."""
        self.write_text(name, json.dumps(values, indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file in the directory, whole or not at all."""
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except json.JSONDecodeError as error:
            raise WorkdirError(
                f"workdir: expected JSON in {self.path / name}. Received: {error}. Remove the file or use another --workdir."
            ) from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write a file or a directory to, then moves it into place.

    What was at `path` stays until the new one is complete and on disk; after an error nothing new is left.

    Raises:
      WorkdirError: The disk is full or the place cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, which Keras looks at
    try:
        with writing(path):
            yield temporary
            if temporary.is_dir() and path.exists():  # a directory does not replace another at one stroke
                older = temporary.with_name(f"{temporary.name}.older")
                path.replace(older)
                temporary.replace(path)
                _remove(older)
            else:
                if temporary.is_file():
                    with temporary.open("rb") as file:
                        os.fsync(file.fileno())
                temporary.replace(path)
    finally:
        _remove(temporary)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Turns a full disk or a forbidden place into a WorkdirError that names `path`."""
    try:
        yield
    except Exception as error:  # OSError from Python and h5py, OpError from TensorFlow
        number = getattr(error, "errno", None)
        text = str(error)
        if number in _NO_SPACE or "No space left on device" in text or any(f"errno = {n}" in text for n in _NO_SPACE):
            raise WorkdirError(
                f"workdir: the disk is full while writing {path}. What was written before is kept; free some space and "
                "run the same command again."
            ) from error
        if number in _NOT_ALLOWED:
            raise WorkdirError(
                f"workdir: cannot write {path} ({os.strerror(number)}). Use another --workdir."
            ) from error
        raise


def deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a config that decides what comes of a run; where features are, what computes, costs may change."""
    asked, unrounded = config["cache"], {"dtype": "float32", "bfloat16": False}
    rounded = {"dtype": asked["dtype"], "bfloat16": asked["engine"].endswith("_bf16")}
    cache = {**(rounded if asked["enabled"] else unrounded), "decoded_gib": asked["decoded_gib"]}
    return {**config, "cache": cache, "strategy": None, "replicas": None, "price_per_hour": None}
