"""Manages the run directory: written atomically by one process at a time, resumed only with the same config.

```
config.json     the resolved config             model.keras    the student; takes pixels 0 to 255
splits.json     which image is in which split   saved_model/1  takes image bytes; can be served as it is
metrics.jsonl   one line per epoch              labels.txt     one class name per line, in the order of the outputs
result.json     the run is trained; exports are proof.npz      images and logits that every export must reproduce
                added as they are made          logits.npz     logits and labels of the images measured on
report.html     the page of the finished run    logs/          for TensorBoard
checkpoints/    to resume from                  audit.json     measurements of an audit
soup.json       replaces result.json if         .lock          held by the process that writes here
                runs were averaged              images.json    revision of the images, where only names or dates changed since
README.md       a model card
```
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from tl_keras.config import EXPORTS, TransferConfig, differences, from_json, to_json, with_epochs
from tl_keras.console import printable, say
from tl_keras.errors import WorkdirError
from tl_keras.files import reading, remove, require_writable, write_text, writing
from tl_keras.runs.identity import affects_result
from tl_keras.runs.records import EpochRecord, Record, RunResult, SoupResult
from tl_keras.untrusted import parse_json
from tl_keras.user_folders import expanded

# Keys that the files must have for those who read them.
_KEYS = {
    "config.json": {"config", "data_hash"},
    "splits.json": {"train", "validation", "test"},
}

_RecordT = TypeVar("_RecordT", bound=Record)


class RunDirectory:
    """A directory that holds one run.

    Args:
      path: Path of the directory, which `begin` creates.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = expanded(path)
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint = self.checkpoints / "last.npz"
        self.logs = self.path / "logs"
        self.model = self.path / "model.keras"
        self.proof = self.path / "proof.npz"
        self.logits = self.path / "logits.npz"
        older = self.path / "answers.npz"  # the file's name before version 0.2
        if older.exists() and not self.logits.exists():
            self.logits = older
        self._unlock: weakref.finalize[..., RunDirectory] | None = None

    def lock(self) -> None:
        """Keeps other processes from writing here until `release`, or until this process ends; does not wait.

        If the directory does not exist yet, `begin` locks it later. Files left half-written by killed processes are removed.

        Raises:
          WorkdirError: Another process has locked it, or the disk is full.
        """
        if self._unlock is not None or not self.path.is_dir():
            return
        with writing(self.path / ".lock"):
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        self._unlock = weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 20).decode()
            if holder == str(os.getppid()):  # this process exports for the run, which waits for it
                return
            self.release()
            raise WorkdirError(
                f"workdir: expected a directory that no other run is writing. Received: {self.path}, which process "
                f"{holder or 'unknown'} has. Wait until it ends, or use another --workdir."
            ) from error
        except OSError:  # some network file systems have no locks
            say(f"{self.path}: no locks on this file system; start one run at a time here")
        self._remove_leftovers()  # first, since a full disk may be full of them
        with writing(self.path / ".lock"):
            os.truncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())

    def release(self) -> None:
        """Lets other processes write here again."""
        if self._unlock is not None:
            self._unlock()
            self._unlock = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[RunDirectory]:
        """Releases at the end of the context a lock taken at its start or within it; see `lock`."""
        held = self._unlock is not None
        self.lock()
        try:
            yield self
        finally:
            if not held:
                self.release()

    def _remove_leftovers(self) -> None:
        """Removes half-written files of processes that have ended; see `replacing`."""
        for left in list(self.path.rglob(".[0-9]*.*")):
            process = left.name.split(".")[1]
            if process.isdecimal() and not _is_alive(int(process)):
                remove(left)
        for folder in (self.path / name for name in EXPORTS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def scratch_copy(self) -> RunDirectory:
        """Returns a copy of the files that a run resumes from, for a process that trains along with the one that writes.

        The copy is removed when the process ends.
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
        require_writable(self.path)

    def read_config(self) -> dict[str, Any] | None:
        """Returns the content of `config.json` as `begin` wrote it, or None if no run has begun here."""
        return self._read_json("config.json")

    def read_result(self) -> RunResult | None:
        """Returns the result of the trained run, or None."""
        return None if self._soup_file == "result.json" else self._read_record("result.json", RunResult)

    def require_result(self) -> RunResult:
        """Returns the result of the trained run.

        Raises:
          WorkdirError: There is none.
        """
        if result := self.read_result():
            return result
        raise WorkdirError(
            f"workdir: expected the directory of a finished run. Received: {self.path}, without its result.json. Train "
            "first, or give the same command again: it resumes where training stopped."
        )

    def write_result(self, result: RunResult) -> None:
        """Writes `result.json`: from now on the run is trained."""
        self.write_json("result.json", result.to_json())

    def read_soup(self) -> SoupResult | None:
        """Returns the result of averaging runs, or None if the directory holds none."""
        return self._read_record(self._soup_file, SoupResult)

    def write_soup(self, soup: SoupResult) -> None:
        """Writes `soup.json`: from now on the directory holds an average of runs."""
        self.write_json(self._soup_file, soup.to_json())

    @property
    def _soup_file(self) -> str:
        """Returns the name of the file of an average of runs; earlier versions gave it that of a run's result."""
        return "result.json" if "of" in (self._read_json("result.json") or {}) else "soup.json"

    def missing(self) -> list[str]:
        """Returns the names of the files that a finished run has and this directory lacks."""
        names = ("config.json", "splits.json", "labels.txt", "metrics.jsonl", "result.json")
        return [
            path.name
            for path in (*(self.path / name for name in names), self.model, self.proof, self.logits)
            if not path.exists()
        ]

    def read_epochs(self, *, at_least: int = 1) -> list[EpochRecord]:
        """Returns the epochs that the run has written to `metrics.jsonl`; a file of fewer than `at_least` is damaged."""
        path = self.path / "metrics.jsonl"
        with reading(path):
            lines = path.read_text(encoding="utf-8").splitlines()
            epochs = [EpochRecord.from_json(parse_json(line)) for line in lines]
            if len(epochs) < at_least:
                raise ValueError(f"{len(epochs)} epochs of {at_least} or more")
            return epochs

    def write_epochs(self, epochs: Sequence[EpochRecord]) -> None:
        """Writes `metrics.jsonl`, a line for each epoch."""
        self.write_text("metrics.jsonl", "".join(f"{json.dumps(epoch.to_json())}\n" for epoch in epochs))

    def read_logits(self) -> np.ndarray:
        """Returns the logits, float32 (n, classes), of the images that the accuracy was measured on."""
        with reading(self.logits), self.logits.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return file["logits"]

    def read_labels(self) -> np.ndarray | None:
        """Returns the right labels of the same images, or None in runs of versions that did not keep them."""
        with reading(self.logits), self.logits.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return file["labels"] if "labels" in file.files else None

    def record_export(self, row: dict[str, Any]) -> None:
        """Adds an export to `result.json` or `soup.json`, if the directory has one."""
        if result := self.read_result():
            self.write_result(result.with_export(row))
        elif soup := self.read_soup():
            self.write_soup(soup.with_export(row))

    def read_audit(self) -> dict[str, Any] | None:
        """Returns the measurements of `tl_keras.audit`, or None if there are none."""
        return self._read_json("audit.json")

    def read_splits(self) -> dict[str, Any] | None:
        """Returns the ids of the images in each split, as `begin` wrote them, or None."""
        return self._read_json("splits.json")

    def has_checkpoint(self) -> bool:
        """Returns whether there is a checkpoint, damaged or not."""
        return self.checkpoints.is_dir() and any(self.checkpoints.glob("last*.npz"))

    def require_no_run(self) -> None:
        """Raises a WorkdirError if files of a run are here without its `config.json` and without a checkpoint."""
        found = [name for name in ("result.json", "model.keras", "metrics.jsonl") if (self.path / name).exists()]
        if found:
            raise WorkdirError(
                f"workdir: expected config.json and a checkpoint beside {found[0]} in {self.path}. Received: a directory "
                "without them. Bring them back, or use another --workdir."
            )

    def continued(self, config: TransferConfig) -> TransferConfig:
        """Returns a resolved config with the hardware decisions of the run that has begun here.

        Raises:
          WorkdirError: That run has a different config.
        """
        self.check_same_run(to_json(config))
        begun = self.read_config()
        if begun is None or config.precision != "auto":
            return config
        return dataclasses.replace(config, precision=from_json(begun["config"]).precision)

    def check_same_run(self, config: dict[str, Any]) -> None:
        """Raises a WorkdirError if a run with another config has begun here, or runs were averaged.

        Args:
          config: The resolved config, as `tl_keras.config.to_json` gives it.
        """
        if soup := self.read_soup():
            raise WorkdirError(
                f"workdir: expected a directory to train in. Received: {self.path}, which holds an average of {len(soup.of)} runs. "
                "Use another --workdir."
            )
        begun = self.read_config()
        if begun is None:
            return
        ours, theirs = from_json(config), from_json(begun["config"])
        if splits := self.read_splits():  # older versions left the epochs open, by the number of training images
            images = len(splits["train"]) + len(splits.get("unlabelled", ()))
            ours, theirs = (with_epochs(each, images=images) for each in (ours, theirs))
        if "auto" in (ours.precision, theirs.precision):  # resolved once, when the run begins
            ours.precision = theirs.precision
        different = differences(affects_result(to_json(ours)), affects_result(to_json(theirs)))
        if different:
            raise WorkdirError(
                f"workdir: {self.path} holds a run with another config ({'; '.join(different[:3])}"
                f"{'; ...' if len(different) > 3 else ''}). Use another --workdir, or the same options to continue."
            )

    def begin(
        self,
        *,
        config: dict[str, Any],
        data_hash: str,
        splits: dict[str, Any],
        labels: tuple[str, ...],
        data_revision: str | None = None,
        own_parts: dict[str, Any] | None = None,
    ) -> bool:
        """Creates the directory with the facts of the run, or finds that the run has begun already.

        Existing splits and labels stay as they are, and are written again if they were removed.

        Args:
          config: The resolved config, as `tl_keras.config.to_json` gives it.
          data_hash: Hash of the images from the inspection.
          splits: Contents of `splits.json`.
          labels: Names of the classes.
          data_revision: Revision of the source, by which a finished run recognises its images; None if it has none.
          own_parts: Names of what the program adds to the config, which alone does not train the same again; None if nothing.

        Returns:
          Whether a run with this config and this data had begun here before.

        Raises:
          WorkdirError: The existing run has another config or other data, another process has locked the directory, or it is
            not writable.
        """
        self.check_same_run(config)
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.lock()
        begun = self.check_same_images(data_hash)
        if not begun or self.read_splits() is None:
            self.write_json("splits.json", splits)
        if not begun or not (self.path / "labels.txt").is_file():
            self.write_text("labels.txt", "".join(f"{printable(label)}\n" for label in labels))
        if not begun:
            # Last, because this file marks the run as begun.
            images = {"data_hash": data_hash, "data_revision": data_revision, "class_names": list(labels)}
            own = {"own_parts": own_parts} if own_parts else {}
            self.write_json("config.json", {"config": config, **own, **images})
        return begun

    def check_same_images(self, data_hash: str) -> bool:
        """Returns whether a run has begun here, after checking its images.

        Raises:
          WorkdirError: It has begun with other images.
        """
        begun = self.read_config()
        if begun is not None and begun["data_hash"] != data_hash:
            raise WorkdirError(
                f"workdir: the images have changed since the run in {self.path} began. Use another --workdir, or bring "
                "the images back to continue."
            )
        return begun is not None

    def knows_revision(self, revision: str | None) -> bool:
        """Returns whether a source of this revision has the images of the run."""
        known = [(values or {}).get("data_revision") for values in (self.read_config(), self._read_json("images.json"))]
        return revision is not None and revision in known

    def remember_revision(self, revision: str | None) -> None:
        """Keeps a revision whose images are those of the run; where the directory cannot be written, it is not kept."""
        with contextlib.suppress(WorkdirError):
            self.write_json("images.json", {"data_revision": revision})

    def write_json(self, name: str, values: Any) -> None:
        """Writes a JSON file in the directory, completely or not at all."""
        self.write_text(name, json.dumps(values, indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file in the directory, as `tl_keras.files.write_text` does."""
        write_text(self.path / name, text)

    def _read_record(self, name: str, record: type[_RecordT]) -> _RecordT | None:
        values = self._read_json(name)
        with reading(self.path / name):
            return None if values is None else record.from_json(values)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        with reading(path):
            try:
                values = parse_json(path.read_text(encoding="utf-8"), at_most=None)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not isinstance(values, dict) or (missing := _KEYS.get(name, set()) - values.keys()):
                raise ValueError(
                    f"JSON without {', '.join(sorted(missing))}" if isinstance(values, dict) else "no object"
                )
            return values


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
