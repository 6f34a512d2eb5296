"""Measures a trained student on any source of images."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tl_keras.data.inspection import inspect_source
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import Source, open_source
from tl_keras.errors import DataError, nearest
from tl_keras.evaluation.metrics import classification_metrics
from tl_keras.serving.predictor import load_predictor


def evaluate_model(
    model: str | os.PathLike[str], source: Source | str, *, split: str = "", data_dir: str = "", batch_size: int = 32
) -> dict[str, Any]:
    """Measures a trained model.

    Args:
      model: A run directory, a `.keras` file or a SavedModel directory.
      source: As for training, or its name. Its classes must be among the model's.
      split: `train`, `validation` or `test`, where the source declares it; empty: `test` where it does, else everything.
      data_dir: Where prepared TFDS datasets lie.
      batch_size: Images at a time.

    Returns:
      What `classification_metrics` gives, and `split` and `undecodable`, the images that were left out.

    Raises:
      DataError: The source cannot be read, has classes that the model lacks, or lacks the split.
      BackboneError: The model cannot be read.
    """
    source = open_source(source, data_dir=data_dir) if isinstance(source, str) else source
    declared = set(source.declared_splits.tolist()) - {""}
    split = split or ("test" if "test" in declared else "")
    if split and split not in declared:
        known = ", ".join(sorted(declared)) or "it declares none"
        raise DataError(f"split: expected one that the source declares ({known}). Received: {split}.")
    predictor = load_predictor(model)
    columns = {name: column for column, name in enumerate(predictor.class_names)}
    unknown = [name for name in source.class_names if name not in columns]
    if unknown:
        raise DataError(
            f"data: expected the model's classes ({', '.join(predictor.class_names[:20])}). Received: {unknown[0]}. "
            f"{nearest(unknown[0], columns)}".strip()
        )
    inspection = inspect_source(source)
    chosen = inspection.decodable & ((source.declared_splits == split) if split else True)
    order = evaluation_order(source, np.flatnonzero(chosen))
    images = source.images(np.flatnonzero(chosen)).map(lambda element: element["image"])
    labels = np.array([columns[name] for name in source.class_names], np.int64)[source.labels[order]]
    metrics = classification_metrics(
        labels, predictor.probabilities(images, batch_size=batch_size), predictor.class_names
    )
    return {**metrics, "split": split or "all", "undecodable": list(inspection.undecodable)}
