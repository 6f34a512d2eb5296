"""The run directory: written atomically, resumed on the same config, refused on another.

```
config.json     everything resolved             model.keras    the student; takes pixels 0 to 255
splits.json     which image is in which split   saved_model/1  answers image bytes; servable as it is
metrics.jsonl   a line an epoch                 labels.txt     a class name a line, in the order of the outputs
result.json     written last: the run is done   proof.npz      images and answers that every export has to give again
report.html     made of the finished run       logits.npz     logits of the images that the accuracy was measured on
checkpoints/    to resume from                  logs/          for TensorBoard
audit.json      what an audit measured
```
"""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any

from tl_keras.config import differences, from_json, to_json
from tl_keras.console import printable
from tl_keras.errors import WorkdirError
from tl_keras.files import remove, replacing, writing


class RunDirectory:
    """A directory that holds one run.

    Args:
      path: Where; created by `begin`, not before.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path).expanduser()  # no shell expands the one in --workdir=~/x
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint = self.checkpoints / "last.npz"
        self.logs = self.path / "logs"
        self.model = self.path / "model.keras"
        self.proof = self.path / "proof.npz"
        self.logits = self.path / "logits.npz"

    def scratch_copy(self) -> RunDirectory:
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
        different = differences(affects_result(config), affects_result(to_json(from_json(begun["config"]))))
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
                remove(left_by_a_kill)
            return True
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.write_json("splits.json", splits)
        self.write_text("labels.txt", "".join(f"{printable(label)}\n" for label in labels))
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


def affects_result(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a config that decides what comes of a run; where features are, what computes, costs may change."""
    asked, unrounded = config["cache"], {"dtype": "float32", "bfloat16": False}
    rounded = {"dtype": asked["dtype"], "bfloat16": asked["engine"].endswith("_bf16")}
    cache = {**(rounded if asked["enabled"] else unrounded), "decoded_gib": asked["decoded_gib"]}
    return {**config, "cache": cache, "strategy": None, "replicas": None, "price_per_hour": None}
