"""Trains on labelled images and on unlabelled ones that a probe labels, where that helps: `train_with_unlabelled`.

```
labelled images ─┐
                 ├─► features ─► given labels ─► do they help out of fold? ─► the run, with them or without
unlabelled ──────┘
```
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig
from tl_keras.console import number_of
from tl_keras.data.groups import units
from tl_keras.data.inspection import Reading
from tl_keras.data.joined import with_unlabelled
from tl_keras.data.source_names import check_source
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.distribution.cluster import read_cluster
from tl_keras.errors import ConfigError, DataError, naming
from tl_keras.labels.gathered import Gathered, Images, embedded, gather
from tl_keras.labels.self_training import FEWEST_OF_A_CLASS, give_labels, measure_gain
from tl_keras.probes.transferability import along_components
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.finished import finished_result
from tl_keras.runs.records import RunResult
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.training.embedding import embedder_of_backbone
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import RunImages, decide, read_images
from tl_keras.training.pseudo_labels import PseudoLabels
from tl_keras.training.published_weights import download_missing
from tl_keras.user_folders import cache_folder


def train_with_unlabelled(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    unlabelled: str,
    source: Any = None,
    models: ModelCache | None = None,
    stopwatch: Stopwatch | None = None,
    before_export: Callable[[pathlib.Path], None] | None = None,
) -> RunResult:
    """Trains a student with unlabelled images, of which those that a probe is sure of get pseudo-labels; resumes if killed.

    They are kept only where the out-of-fold accuracy on the true labels rises by more than noise. Validation and test images are
    those of a run without them.

    Args:
      config: Choices of the run.
      workdir: Directory of the run.
      unlabelled: Folder, or another source, of images whose labels, if any, are left aside.
      source: Labelled images as in `train_and_evaluate`.
      models: Cache that several runs share. None means a new one.
      stopwatch: Stopwatch of the command. None means one that starts now.
      before_export: Function that is called with the run directory before anything is exported.

    Raises:
      ConfigError: The method is `replicate`, or several processes train.
      DataError: The images are not of one class each, or too few; or no unlabelled image is new.
      TransferError: The run failed; the same call goes on with it.
    """
    watch, models, run = stopwatch or Stopwatch(), models or ModelCache(), RunDirectory(workdir)
    watch.start("pseudo-labels")
    if source is not None:
        source = open_source(source, SourceOptions.of(config))
    decided = decide(config, source=source, run=run)
    _require_transfer(decided)
    run.check_writable()
    images = None
    if not finished_result(run):
        with naming("unlabelled"):
            check_source(unlabelled)
        download_missing(decided.model)
        labelled = read_images(decided, models, source=source, run=run)
        images = with_pseudo_labels(labelled, unlabelled, decided)
    return train_and_evaluate(
        config, workdir, source=source, models=models, stopwatch=watch, before_export=before_export, images=images
    )


def with_pseudo_labels(images: RunImages, unlabelled: str, config: TransferConfig) -> RunImages:
    """Returns the images of a run with those unlabelled ones that get a label, if that helps; else the same ones, with the reason.

    Args:
      images: Labelled images.
      unlabelled: Name of the source of the others.
      config: Resolved config.

    Raises:
      DataError: The images are not of one class each, or too few; or no unlabelled image is new.
    """
    _require_labels(images)
    embedder = embedder_of_backbone(config.model)
    everything = np.flatnonzero(images.inspection.decodable)
    known = embedded(embedder, images.source, images.inspection, everything, config)
    gathered = gather(embedder, unlabelled, config, known)
    new = np.setdiff1d(np.arange(len(gathered.unlabelled.indices)), gathered.outliers)
    train, labels = np.searchsorted(everything, images.splits.train), images.source.labels[images.splits.train]
    scaled = along_components(np.concatenate([known.features[train], gathered.unlabelled.features[new]]))
    gain, temperature = measure_gain(scaled, labels, groups=_groups(images), seed=config.seed)
    given = give_labels(scaled, labels, temperature=temperature)
    counts = np.bincount(given.labels, minlength=len(images.source.class_names)).tolist()
    facts = PseudoLabels(
        source=unlabelled,
        kept=gain.helps,
        images=int(gathered.unlabelled.inspection.decodable.sum()),
        by_class=dict(zip(images.source.class_names, counts, strict=True)),
        left_out=_left_out(gathered, unsure=len(new) - len(given.rows)),
        accuracy_before=round(gain.before, 4),
        accuracy_after=round(gain.after, 4),
        noise=round(gain.noise, 4),
        true_labels=len(images.source),
    )
    if not gain.helps:
        return dataclasses.replace(images, pseudo_labels=facts)
    joined = _joined(images, gathered.unlabelled, new[given.rows], given.labels, config)
    return dataclasses.replace(joined, pseudo_labels=facts)


def _groups(images: RunImages) -> np.ndarray:
    """Returns the number of each training image's group, int64 (k,); copies are one."""
    train, groups = images.splits.train, images.source.groups
    return units(images.inspection.sha256[train], groups.names[train] if groups else None)


def _joined(images: RunImages, more: Images, rows: np.ndarray, labels: np.ndarray, config: TransferConfig) -> RunImages:
    """Returns the images of a run, and some unlabelled ones, by their rows in `more`, to train on beside them."""
    memory = cache_folder(config.cache.folder)
    joined = with_unlabelled(images.source, images.inspection, more.source, Reading.of(config), remembered_in=memory)
    source, given = joined.source, len(images.source) + more.indices[rows]
    source.labels[given], source.notes = labels, images.source.notes
    # True labels are shown again until they weigh as much, as in the classifier that was measured.
    times = max(1, round(len(labels) / len(images.splits.train)))
    train = np.concatenate([np.repeat(images.splits.train, times), given])
    return RunImages(source, joined.inspection, dataclasses.replace(images.splits, train=train))


def _left_out(gathered: Gathered, *, unsure: int) -> dict[str, int]:
    return {
        "labelled": gathered.known,
        "copies": gathered.copies,
        "outliers": len(gathered.outliers),
        "unsure": unsure,
    }


def _require_transfer(config: TransferConfig) -> None:
    """Raises a ConfigError unless a frozen teacher can judge the images, in one process."""
    if read_cluster():
        raise ConfigError("unlabelled: expected one process. Received: TF_CONFIG with several workers. Unset it.")
    if config.model.method == "replicate":
        raise ConfigError(
            "unlabelled: expected a pre-trained teacher, whose features judge the images. Received: method replicate. Use "
            "fine_tune or feature_extraction."
        )


def _require_labels(images: RunImages) -> None:
    """Raises a DataError unless there are enough labelled files of one class each."""
    source = images.source
    if source.noun != "image" or source.labelling.kind != "class":
        raise DataError(
            f"unlabelled: expected {source.name} to have images of one class each. Received: "
            f"{source.labelling.count(source.class_names)} of {source.noun}s. Leave --unlabelled out."
        )
    counts = np.bincount(source.labels[images.splits.train], minlength=len(source.class_names))
    rarest = int(counts.argmin())
    if counts[rarest] < FEWEST_OF_A_CLASS:
        raise DataError(
            f"unlabelled: expected {FEWEST_OF_A_CLASS} training images of each class, by which pseudo-labels are judged. Received: "
            f"{number_of(int(counts[rarest]), 'image')} of {source.class_names[rarest]}. Label more: python -m tl_keras.label_next."
        )
