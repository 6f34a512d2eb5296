"""Decides whether a run is finished, from its files alone and without TensorFlow: `finished_result`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from tl_keras.console import number_of, say
from tl_keras.files import reading
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import RunResult

# Entries without which a file of the run cannot be used.
_ENTRIES = {
    "model.keras": ("metadata.json", "config.json", "model.weights.h5", "tl_keras.json", "tl_keras.npz"),
    "proof.npz": ("logits.npy", "image_0.npy"),
    "logits.npz": ("logits.npy",),
}


def finished_result(run: RunDirectory) -> RunResult | None:
    """Returns the result of a run that lacks nothing but exports, or None; prints what else is missing.

    The files are read as far as it takes to see that each is whole: the directory at the end of an archive, and every line of a
    text. The weights are not read.

    Args:
      run: The run directory.

    Raises:
      WorkdirError: A file of the run is damaged; or `config.json` and the checkpoints are missing, so that nothing can be said
        of the other files.
    """
    result, missing = run.read_result(), run.missing()
    if result is None:
        return None
    if not missing:
        _require_whole(run, result)
        return result
    if "config.json" in missing and not run.has_checkpoint():
        run.require_no_run()
    say(f"{run.path}: {', '.join(missing)} is missing and written again")
    return None


def _require_whole(run: RunDirectory, result: RunResult) -> None:
    """Raises a WorkdirError if one of the files of a trained run is damaged."""
    begun, _ = run.read_config() or {}, run.read_splits()
    run.read_epochs(at_least=result.epochs or result.kept_epoch)
    _require_labels(run, begun.get("class_names"))
    for path in (run.model, run.proof, run.logits):
        with reading(path), zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if lacking := [name for name in _ENTRIES.get(path.name, _ENTRIES["logits.npz"]) if name not in names]:
                raise ValueError(f"an archive without {', '.join(lacking)}")


def _require_labels(run: RunDirectory, class_names: Sequence[str] | None) -> None:
    """Raises a WorkdirError unless `labels.txt` has a whole line for each class; the names may have been edited.

    Args:
      run: The run directory.
      class_names: Names in `config.json`; None if an earlier version wrote none.
    """
    path = run.path / "labels.txt"
    with reading(path):
        text = path.read_text(encoding="utf-8")
        lines = len(class_names) if class_names is not None else max(1, text.count("\n"))
        if text.count("\n") != lines or not text.endswith("\n"):
            raise ValueError(f"{text.count(chr(10))} whole lines for {number_of(lines, 'class')}")
