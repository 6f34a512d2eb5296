"""Measures a trained student on any source of images."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from tl_keras.config import DEFAULT_MAX_PIXELS, DEFAULT_SIGNIFICANT_BITS, TransferConfig, from_json
from tl_keras.console import number_of, printable
from tl_keras.data.inspection import Inspection, Reading, inspect_source
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import NO_OPTIONS, Source, SourceOptions, open_source
from tl_keras.data.splits import Splits, hash_starts
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError, nearest
from tl_keras.evaluation.metrics import classification_metrics
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.predictor import load_predictor


@with_own_keras_settings
def evaluate_model(
    model: str | os.PathLike[str],
    source: Any,
    *,
    split: str = "",
    options: SourceOptions = NO_OPTIONS,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Measures a trained model on images with labels.

    Example:
      ```python
      import tl_keras

      metrics = tl_keras.evaluate_model("run1", "photos/")
      print(metrics["accuracy"], metrics["examples"])
      for row in metrics["classes"]:
          print(row["class"], row["precision"], row["recall"])
      ```

    Args:
      model: A run directory, a `.keras` file or a SavedModel directory.
      source: Images as for training, or the name of their source. Its classes must be among the model's.
      split: `train`, `validation` or `test`, if the source declares it; empty for `test` if declared, else everything.
      options: Options for reading the source.
      max_pixels: Largest number of pixels of an image; larger images are left out.
      batch_size: Number of images at a time.

    Returns:
      The measures of `classification_metrics`, and `split`; `undecodable`, the number of images left out, and `left_out`, a
      sentence for each reason; `trained_on`, how many of the others the run was trained on, if its directory can tell; and
      `notes` on this and on everything else that was left out.

    Raises:
      DataError: The source cannot be read, has classes that the model lacks, or lacks the split.
      BackboneError: The model cannot be read.
    """
    source = open_source(source, options)
    declared = set(source.declared_splits.tolist()) - {""}
    split = split or ("test" if "test" in declared else "")
    if split and split not in declared:
        known = ", ".join(sorted(declared)) or "it declares none"
        raise DataError(f"split: expected one that the source declares ({known}). Received: {split}.")
    inspection = inspect_source(source, Reading(significant_bits=DEFAULT_SIGNIFICANT_BITS, max_pixels=max_pixels))
    chosen = inspection.decodable & ((source.declared_splits == split) if split else True)
    indices = np.flatnonzero(chosen)
    metrics = _measure(model, source, indices, batch_size=batch_size)
    trained_on = _trained_on(model, source, inspection, indices)
    seen = (
        f"the run was trained on {trained_on} of {number_of(len(indices), 'image')}: on others its accuracy is likely to be lower; "
        "leave out those under train in its splits.json"
    )
    return {
        **metrics,
        "split": split or "all",
        "undecodable": list(inspection.undecodable),
        "left_out": inspection.left_out(),
        "trained_on": trained_on,
        "notes": [*source.notes, *([seen] if trained_on else [])],
    }


def _trained_on(
    model: str | os.PathLike[str], source: Source, inspection: Inspection, indices: np.ndarray
) -> int | None:
    """Returns how many of some images a run was trained on, or None if the model is not in a run directory.

    Images are recognised by content, or by name in runs of older versions.
    """
    path = pathlib.Path(model).expanduser().absolute()
    run = next((folder for folder in (path, *path.parents[:3]) if (folder / "splits.json").is_file()), None)
    splits = None if run is None else RunDirectory(run).read_splits()
    if splits is None:
        return None
    if "train_sha256" in splits:
        known = set(splits["train_sha256"])
        return sum(content in known for content in hash_starts(inspection, indices))
    return len({source.ids[index] for index in indices.tolist()} & set(splits["train"]))


@with_own_keras_settings
def evaluate_run(workdir: str | os.PathLike[str], *, split: str = "test", batch_size: int = 32) -> dict[str, Any]:
    """Measures a finished run on one of its own splits.

    Args:
      workdir: Directory of the run.
      split: `train`, `validation` or `test`.
      batch_size: Number of images at a time.

    Returns:
      The measures of `classification_metrics`.

    Raises:
      DataError: The run's source can no longer be read or lacks an image of the split, or the split is empty.
    """
    _, source, splits = open_run(workdir)
    indices = getattr(splits, split)
    if not len(indices):
        raise DataError(f"{source.name}: expected images of split {split} of {workdir}. Received: none in it.")
    return _measure(workdir, source, indices, batch_size=batch_size)


def open_run(workdir: str | os.PathLike[str], *, source: Source | None = None) -> tuple[TransferConfig, Source, Splits]:
    """Opens the images of a finished run.

    Args:
      workdir: Directory of the run.
      source: The run's images if they are in memory. None means the source in the run's config.

    Returns:
      The run's resolved config, its source and its splits.

    Raises:
      DataError: It is not a run directory, or its source can no longer be read or lacks an image.
    """
    run = RunDirectory(workdir)
    begun, splits = run.read_config(), run.read_splits()
    if begun is None or splits is None:
        lacking = ", ".join(name for name in ("config.json", "splits.json") if not (run.path / name).exists())
        raise DataError(
            f"workdir: expected a run directory. Received: {run.path}, without {lacking}. Train first; where the file was removed, "
            "the same command writes it again."
        )
    config = from_json(begun["config"])
    if source is None:
        source = open_source(config.data.source, SourceOptions.of(config))
    return config, source, Splits.from_json(splits, source)


def _measure(model: str | os.PathLike[str], source: Source, indices: np.ndarray, *, batch_size: int) -> dict[str, Any]:
    """Returns the measures of `classification_metrics` for some images, all of which can be decoded."""
    predictor = load_predictor(model)
    columns = {name: column for column, name in enumerate(predictor.class_names)}
    unknown = [name for name in source.class_names if name not in columns]
    if unknown:
        raise DataError(
            f"data: expected the model's classes ({', '.join(predictor.class_names[:20])}). Received: {unknown[0]}. "
            f"{nearest(unknown[0], columns)}".strip()
        )
    order = evaluation_order(source, indices)
    images = source.images(indices).map(lambda element: element["image"])
    labels = np.array([columns[name] for name in source.class_names], np.int64)[source.labels[order]]
    probabilities = predictor.probabilities(images, batch_size=batch_size)
    return classification_metrics(labels, probabilities, predictor.class_names)


def as_text(metrics: dict[str, Any]) -> str:
    """Returns the measures as lines and a table."""
    top_5 = f", top-5 {metrics['top_5_accuracy']:.4f}" if "top_5_accuracy" in metrics else ""
    lines = [
        f"accuracy {metrics['accuracy']:.4f}{top_5}  ({number_of(metrics['examples'], 'image')}, split {metrics['split']})"
    ]
    lines += map(printable, metrics["left_out"])
    width = max(len("class"), *(len(printable(row["class"])) for row in metrics["classes"]))
    lines.append(f"{'class':<{width}} {'precision':>10} {'recall':>8} {'images':>8}")
    for row in metrics["classes"]:
        precision, recall = ("-" if row[name] is None else f"{row[name]:.4f}" for name in ("precision", "recall"))
        lines.append(f"{printable(row['class']):<{width}} {precision:>10} {recall:>8} {row['examples']:>8}")
    return "\n".join(lines)
