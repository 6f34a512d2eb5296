"""Exports a finished run in any format, proven to agree with training before a server can see it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.weights import fingerprint
from tl_keras.config import from_json
from tl_keras.console import first_line, printable, say
from tl_keras.data.decoding import READS_WEBP
from tl_keras.data.image_header import MAX_SCANS
from tl_keras.data.sources import Source, open_source_of_run
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError, ExportError, TransferError, WorkdirError
from tl_keras.files import replacing, writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.formats import FACTS, FORMATS, ReadPixels, require_converters
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.parity import FreshProcess, ParityRecord, compare
from tl_keras.serving.student_statistics import evenly

# LiteRT's guide to quantisation asks for "around 100-500" samples.
_CALIBRATION_IMAGES = 200


@with_own_keras_settings
def export_run(
    workdir: str | os.PathLike[str] | RunDirectory,
    formats: Iterable[str],
    *,
    source: Source | None = None,
    views: str = "none",
) -> list[dict[str, Any]]:
    """Exports a run's `model.keras`, using only the run directory, and adds each export to its `result.json`.

    Each format gets a version directory, `WORKDIR/FORMAT/1`, then `2`, the layout of TensorFlow Serving. The export is written
    to a temporary place, a fresh process computes the logits of `proof.npz` with it, and only then it is renamed.

    Args:
      workdir: A run directory with `model.keras` and `proof.npz`; a `RunDirectory` may be locked or not.
      formats: Names of `tl_keras.serving.formats.FORMATS`.
      source: The training images, which `litert_int8` is fitted to. None means the source in the run's config.
      views: Test-time augmentation that becomes part of the model, as in `predict_images`.

    Returns:
      A row per format: `format`, `path` in the run directory, `megabytes`, `bytes`, `milliseconds` of one image by itself, and
      the result of `parity.compare`.

    Raises:
      DependencyError: The converter of a format is not installed; nothing was exported.
      BackboneError: The run directory lacks its model.
      ExportError: An exported model does not agree; nothing new remains of it, and older versions stay.
      DataError: The training images are needed and cannot be read.
      WorkdirError: The disk is full, or the place is not writable.
    """
    formats = tuple(formats)
    require_converters(formats)
    run = workdir if isinstance(workdir, RunDirectory) else RunDirectory(workdir)
    begun, splits = run.read_config(), run.read_splits()
    if begun is None or splits is None:
        raise WorkdirError(
            f"workdir: expected a run directory, with config.json and splits.json. Received: {run.path}, without one of them. The "
            "command that trained writes the missing one again."
        )
    with run.locked():
        trained, proof = load_model(run.model), ParityRecord.load(run.proof)
        if views != "none":
            trained = trained.with_views(views)
            proof = dataclasses.replace(proof, logits=_logits(trained, proof.images))

        def read_training_pixels() -> np.ndarray:
            config = from_json(begun["config"])
            images = source or open_source_of_run(config, run.path)
            return _pixels_of(trained, images, splits["train"])

        rows = []
        for name in formats:
            began = time.perf_counter()
            say(f"exporting {name}, and asking it in a process of its own")
            row = _export(run, trained, proof, name, read_training_pixels)
            run.record_export(row)
            rows.append(row)
            say(
                f"exported {row['path']} in {time.perf_counter() - began:.0f} s: logits agree with training to "
                f"{row['largest_logit_difference']:.1e} of the largest"
            )
    return rows


def _export(
    run: RunDirectory, trained: TrainedModel, proof: ParityRecord, name: str, read_training_pixels: ReadPixels
) -> dict[str, Any]:
    """Writes and proves the next version of one format, and returns its row of `export_run`."""
    chosen = FORMATS[name]
    questions = [
        np.frombuffer(image, np.uint8) if chosen.takes_files else _pixels(trained, image) for image in proof.images
    ]
    version = _next_version(run.path / name)
    try:
        with (
            replacing(version) as temporary,
            FreshProcess(chosen.runtime, output_name=trained.task.output_name) as process,
        ):
            model = temporary / chosen.file
            model.parent.mkdir(exist_ok=True)
            with writing(version), _converting(name), _warnings_alone():
                chosen.write(trained, model, read_training_pixels)
            _write_facts(run, trained, temporary / ("" if chosen.file else "assets.extra"), files=chosen.takes_files)
            with tempfile.TemporaryDirectory(prefix=f".{os.getpid()}.", dir=run.path) as scratch:
                answers = process.ask(model, questions, scratch=pathlib.Path(scratch))
            comparison = compare(
                answers,
                proof.logits,
                temperature=trained.statistics.temperature,
                tolerance=chosen.tolerance,
                task=trained.task,
            )
    finally:
        if not any(version.parent.iterdir()):
            version.parent.rmdir()
    size, path = _bytes_in(version), version.relative_to(run.path).as_posix()
    return {
        "format": name,
        "path": path,
        "megabytes": round(size / 1e6, 2),
        "bytes": size,
        "milliseconds": answers.milliseconds and round(answers.milliseconds, 2),
        **_views_of(trained),
        **comparison,
    }


@contextlib.contextmanager
def _warnings_alone() -> Iterator[None]:
    """Keeps TensorFlow's log of what it writes, which a notebook shows in red, out of the context."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _converting(name: str) -> Iterator[None]:
    """Turns any error of a converter, except a full disk, into an ExportError of one line."""
    try:
        yield
    except (TransferError, OSError):
        raise
    except Exception as error:  # TensorFlow, tf2onnx and OpenVINO each have their own types
        if "No space left on device" in str(error):
            raise
        raise ExportError(
            f"export: expected a model that the converter of {name} accepts. Received: {first_line(error)}. Nothing was "
            "exported; use another format, and report it."
        ) from error


def missing_exports(run: RunDirectory, formats: Iterable[str]) -> list[str]:
    """Returns the formats for which a run's result names no export that exists and has kept its size."""
    result = run.read_result()
    rows = result.export if result else []
    # Earlier versions wrote megabytes alone, rounded. Files may have been added, such as requests that warm a server up.
    whole = {row["format"] for row in rows if _bytes_in(run.path / row["path"]) >= row.get("bytes", 1)}
    return [name for name in formats if name not in whole]


def _bytes_in(folder: pathlib.Path) -> int:
    """Returns the size of all files in a folder; 0 if there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def export_finished(
    workdir: str | os.PathLike[str] | RunDirectory, formats: Sequence[str], *, source: Source | None = None
) -> list[dict[str, Any]]:
    """Exports as `export_run` does, on any backend of Keras; does nothing if no format is requested."""
    if not formats:  # an export would read the model again
        return []
    if keras.backend.backend() == "tensorflow":
        return export_run(workdir, formats, source=source)
    return _export_on_tensorflow(workdir.path if isinstance(workdir, RunDirectory) else workdir, formats)


def _export_on_tensorflow(workdir: str | os.PathLike[str], formats: Iterable[str]) -> list[dict[str, Any]]:
    """Runs `export_run` in a process with Keras on TensorFlow, because every format is made from TensorFlow's graph.

    Raises:
      ExportError: The process failed; its last line says why.
    """
    # The export needs no accelerator, and this process holds it.
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [
        sys.executable,
        "-m",
        "tl_keras.export",
        f"--workdir={workdir}",
        f"--format={','.join(formats)}",
        "--json",
    ]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if process.returncode != 0:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"export: expected an export by Keras on TensorFlow. Received: {last_line}")
    return json.loads(process.stdout)


def newest_version(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the version directory with the highest number, or None."""
    return next(iter(versions(folder)), None)


def versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the version directories, the highest number first."""
    found = [path for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def _next_version(folder: pathlib.Path) -> pathlib.Path:
    with writing(folder):
        folder.mkdir(exist_ok=True)
    newest = newest_version(folder)
    return folder / str(int(newest.name) + 1 if newest else 1)


def _write_facts(run: RunDirectory, trained: TrainedModel, folder: pathlib.Path, *, files: bool) -> None:
    """Writes `labels.txt` and `tl_keras.json`: what a client must know of the model, and where it came from."""
    folder.mkdir(exist_ok=True)
    facts = {
        "class_names": trained.class_names,
        "task": trained.task.name,
        **({"task_facts": known} if (known := trained.task.facts()) else {}),
        "preprocess": trained.preprocess.to_json(),
        **_views_of(trained),
        **(_limits_of_files(run) if files and trained.preprocess.image_size else {}),
        **trained.statistics.to_json(),
        "outlier": meaning_of_outlier(
            trained.statistics.threshold_of, "image" if trained.preprocess.image_size else "text"
        ),
        "validation_answers": trained.statistics.predicted_counts.tolist(),
        "versions": {
            "tl_keras": importlib.metadata.version("tl_keras"),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "run_sha256": hashlib.sha256((run.path / "config.json").read_bytes()).hexdigest(),
        "weights_sha256": fingerprint(trained.model),
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / "labels.txt").write_text(
        "".join(f"{printable(name)}\n" for name in trained.class_names), encoding="utf-8"
    )


def meaning_of_outlier(threshold_of: str, noun: str) -> str:
    """Returns what the output `outlier` measures, by the images that its threshold was fitted to.

    Args:
      threshold_of: See `StudentStatistics`.
      noun: Word for what is answered, `image` or `text`.
    """
    if threshold_of == "training":
        return f"distance from one half of the training {noun}s; above 1: farther than 95% of the other half"
    others = "other" if threshold_of == "unknown" else f"the {threshold_of}"
    return f"distance from the training {noun}s; above 1: farther than 95% of {others} {noun}s"


def _limits_of_files(run: RunDirectory) -> dict[str, Any]:
    """Returns which files a model takes, and the limits of training that its graph does not check."""
    config = from_json((run.read_config() or {})["config"])
    return {
        "image_formats": ["JPEG", "PNG", "BMP", "GIF", *(["WebP"] if READS_WEBP else [])],
        "max_pixels": config.data.max_pixels,
        "max_jpeg_scans": MAX_SCANS,
    }


def _pixels_of(trained: TrainedModel, source: Source, ids: list[str]) -> np.ndarray:
    """Returns at most 200 of the named images as the model's input, float32 (n, image_size, image_size, 3)."""
    named = set(ids)
    indices = np.array([index for index, name in enumerate(source.ids) if name in named], np.int64)
    if not len(indices):
        raise DataError(f"export: expected the run's training images in {source.name}. Received a source without them.")
    images = source.images(evenly(indices, _CALIBRATION_IMAGES))
    return np.stack([_pixels(trained, element["image"]) for element in images])


def _logits(trained: TrainedModel, images: Sequence[bytes]) -> np.ndarray:
    """Returns the logits of encoded images, float32 (n, classes), by Keras."""
    _, logits = trained.answering().predict(np.stack([_pixels(trained, image) for image in images]), verbose=0)
    return logits


def _views_of(trained: TrainedModel) -> dict[str, str]:
    return {} if trained.views == "none" else {"test_time_augmentation": trained.views}


def _pixels(trained: TrainedModel, image: tf.Tensor | bytes) -> np.ndarray:
    """Returns an image as the model's input, float32 (image_size, image_size, 3), made by training's own functions."""
    return trained.preprocess.evaluation_transform(tf.convert_to_tensor(image)).numpy()
