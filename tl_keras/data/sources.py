"""Opens the source of images that a user names."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig
from tl_keras.data.archive import unpack
from tl_keras.data.arrays import digits_source, npz_source
from tl_keras.data.base import FileSource, Source
from tl_keras.data.folder import FolderSource
from tl_keras.data.from_python import HuggingFaceSource, TFDataSource, hugging_face_source
from tl_keras.data.groups import groups_by_name
from tl_keras.data.label_kinds import as_kind, in_declared_order
from tl_keras.data.options import NO_OPTIONS, SourceOptions
from tl_keras.data.remote import fetch
from tl_keras.data.shared_content import with_labels_of_copies
from tl_keras.data.source_names import check_source
from tl_keras.data.table_source import csv_source, data_frame_source, parquet_source, text_folder_source
from tl_keras.data.tfds import TFDSSource
from tl_keras.data.tfrecord import TFRecordSource
from tl_keras.data.webdataset import WebDatasetSource
from tl_keras.data.wrong_task import require_single_labels
from tl_keras.errors import DataError

__all__ = ["NO_OPTIONS", "Source", "SourceOptions", "open_source", "open_source_of_run"]


def open_source(source: Any, options: SourceOptions = NO_OPTIONS) -> Source:
    """Lists the images of a source.

    Args:
      source: A name: a directory or an archive of class folders, also at gs://, s3:// or https://, `csv:FILE`, `parquet:FILE`,
        `tfrecord:GLOB`, `webdataset:GLOB`, `tfds:NAME[/config]`, `hf:FOLDER`, `npz:FILE`, `txt:FOLDER` (texts), or `digits`
        (scikit-learn's; a directory of that name is `./digits`); a path may also be a `pathlib.Path`. Or an object: a `Source`,
        a pandas DataFrame, a dataset of Hugging Face's `datasets`, or a `tf.data.Dataset`.
      options: Options for reading it.

    Returns:
      The source; no image has been read yet.

    Raises:
      DataError: There is no such source, its files do not fit its kind, its labels are not what the task learns, or `group_by`
        finds no groups.
    """
    if isinstance(source, Source):
        return _grouped(_with_labels_of(source, options), options.group_by)
    opened = _open_named(source, options) if isinstance(source, str | os.PathLike) else _open_object(source, options)
    if options.task == "auto" and opened.labelling.kind == "class" and not isinstance(opened, FolderSource):
        counts = np.bincount(opened.labels, minlength=len(opened.class_names))
        require_single_labels(opened.name, opened.class_names, counts.tolist())
    return _grouped(_with_labels_of(opened, options), options.group_by)


def open_source_of_run(config: TransferConfig, workdir: str | os.PathLike[str]) -> Source:
    """Lists the images of a run again, where its training has read them.

    Args:
      config: Config of the run.
      workdir: Its directory, for the message.

    Raises:
      DataError: They can no longer be read there.
    """
    try:
        return open_source(config.data.source, SourceOptions.of(config))
    except DataError as error:
        raise DataError(
            f"workdir: expected the images of {os.fspath(workdir)} at {config.data.source}, where training read them. Received: "
            f"{str(error).rstrip('.')}. Bring them back, or where that path is relative, run this in the directory of training."
        ) from error


def _grouped(source: Source, group_by: str) -> Source:
    """Returns a source with the groups that the names of its images tell, where the user asks for them; a column may have told."""
    if not group_by or (source.groups and source.groups.by == f"the column {group_by}"):
        return source
    grouped = copy.copy(source)
    grouped.groups = groups_by_name(source.name, source.ids, group_by, source.class_names)
    return grouped


def _with_labels_of(source: Source, options: SourceOptions) -> Source:
    """Returns the source with labels of the kind that the task learns; the same one where it has them."""
    if source.labelling.kind == options.label_kind:
        return source
    if options.label_kind == "labels" and source.labelling.kind == "class" and isinstance(source, FileSource):
        return with_labels_of_copies(source)
    changed = copy.copy(source)
    if options.label_kind == "order":
        ordered = in_declared_order(source.name, source.class_names, source.labels, options.class_order)
        changed.class_names, changed.labels = ordered
        changed.classes_are_given = bool(options.class_order)
        return changed
    changed.class_names, changed.labels = as_kind(source.name, source.class_names, source.labels, options.label_kind)
    return changed


def _open_named(source: str | os.PathLike[str], options: SourceOptions) -> Source:
    kind, rest = check_source(source)
    if kind == "remote":
        copied = _open_named(fetch(rest, options.cache_folder), options)
        copied.name = rest
        return copied
    if kind == "archive":
        folder, notes = unpack(rest, options.cache_folder)
        return FolderSource(
            folder,
            splits=options.folder_meanings,
            archive=rest,
            notes=notes,
            cache_folder=options.cache_folder,
        )
    if kind == "folder":
        return FolderSource(rest, splits=options.folder_meanings, cache_folder=options.cache_folder)
    if kind == "digits":
        return digits_source()
    readers = {
        "csv": csv_source,
        "hf": hugging_face_source,
        "npz": npz_source,
        "parquet": parquet_source,
        "tfds": TFDSSource,
        "tfrecord": TFRecordSource,
        "txt": text_folder_source,
        "webdataset": WebDatasetSource,
    }
    return readers[kind](rest, options)


def _open_object(source: Any, options: SourceOptions) -> Source:
    module = type(source).__module__.partition(".")[0]
    if module == "pandas" and hasattr(source, "columns"):
        return data_frame_source(source, options)
    if module == "datasets":
        return HuggingFaceSource(source, options)
    if module == "tensorflow":
        return TFDataSource(source, options)
    raise DataError(
        f"data: expected the name of a source, a Source, a DataFrame, or a dataset of datasets or tf.data. Received "
        f"{type(source).__name__}. From arrays make a tl_keras.ArraySource(images, labels)."
    )
