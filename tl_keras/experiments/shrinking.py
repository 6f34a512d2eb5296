"""Measures a finished run's exports in their own runtimes: size, time and score, and which of them loses little: `shrink`."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tl_keras.console import in_words, say
from tl_keras.data.base import Source, require_images
from tl_keras.data.pipeline import evaluation_order
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import ConfigError, ExportError
from tl_keras.experiments.measure import open_run
from tl_keras.experiments.timing import milliseconds
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run, missing_exports
from tl_keras.serving.formats import FORMATS
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.runtime_check import RUNTIMES, Ask

# Formats that take pixels, and so compute the same; the largest first.
SHRUNK = ("litert", "litert_float16", "litert_dynamic_int8", "litert_int8", "onnx", "openvino")
# Number of images that a runtime gets at a time.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class ShrinkRow:
    """A format as it was measured.

    Attributes:
      format: Name of the format.
      path: Directory of the export in the run directory.
      megabytes: Size on disk.
      milliseconds: Median time of one image on this machine, decoded and resized before.
      score: Score on the images that the run reports.
      changed: Number of images whose answer is another than that of the run's `model.keras`.
      loss: Score of the run less that of the format.
      meets: Whether that is at most what may be lost.
    """

    format: str
    path: str
    megabytes: float
    milliseconds: float
    score: float
    changed: int
    loss: float
    meets: bool


@dataclasses.dataclass(frozen=True)
class Shrunk:
    """The formats of a run, and those to choose.

    Attributes:
      score_name: Name of the score.
      score: Score of the run, 0 to 1.
      split: Split that was measured on.
      images: Number of its images.
      max_loss: Loss of the score that is allowed.
      rows: Formats that were measured.
      smallest: Format of the smallest that meets the loss; None if none does.
      fastest: Format of the fastest that meets it; None if none does.
    """

    score_name: str
    score: float
    split: str
    images: int
    max_loss: float
    rows: tuple[ShrinkRow, ...]
    smallest: str | None
    fastest: str | None


def formats_at_hand() -> tuple[str, ...]:
    """Returns the formats whose converters and runtimes are installed."""
    return tuple(
        name for name in SHRUNK if all(importlib.util.find_spec(module) is not None for module in FORMATS[name].modules)
    )


@with_own_keras_settings
def shrink(
    workdir: str | os.PathLike[str], formats: Sequence[str], *, max_loss: float = 0.01, source: Source | None = None
) -> Shrunk:
    """Exports a finished run to each format that it lacks, measures all in their runtimes, and adds the table to `result.json`.

    Example:
      ```python
      from tl_keras.experiments.shrinking import shrink

      found = shrink("run1", ["litert", "litert_int8"], max_loss=0.02)
      print(found.smallest, [(row.format, row.megabytes, row.milliseconds, row.score) for row in found.rows])
      ```

    Args:
      workdir: Directory of the run.
      formats: Names of `SHRUNK`, at least one.
      max_loss: Loss of the score that is allowed, 0 to 1.
      source: The run's images if they are in memory. None means the source in the run's config.

    Raises:
      ConfigError: There is no format.
      DataError: The images can no longer be read, or are texts.
      DependencyError: The converter of a format is not installed.
      ExportError: Every export failed; one that fails beside others is named in a line and left out.
    """
    if not formats:
        raise ConfigError(
            "formats: expected at least one whose converter is installed. Received: none. Run: pip install 'tl_keras[litert]'"
        )
    run, (_, images, splits) = RunDirectory(workdir), open_run(workdir, source=source)
    require_images(images.noun, command="shrink")
    result, trained = run.require_result(), load_model(run.model)
    formats = [name for name in formats if _is_exported(run, name, source)]
    if not formats:
        raise ExportError(
            f"shrink: expected an export that agrees with training. Received: none of {workdir}. See the lines before."
        )
    exported = {row["format"]: row for row in run.require_result().export}
    split, measured = splits.to_measure_on()
    indices = evaluation_order(images, measured)
    asks = {name: _open(run.path / exported[name]["path"], name, trained) for name in formats}
    pixels = images.images(
        indices, then=lambda element: trained.preprocess.evaluation_transform(images.decodable(element))
    )
    # The run's own logits may be of other images (a sweep measures no test images), or of other models (out of fold).
    own = trained.model.predict(pixels.batch(_BATCH), verbose=0)
    logits = {"": own, **_answers(asks, pixels)}
    one = [next(iter(pixels.take(1))).numpy()]
    taken = milliseconds({name: functools.partial(ask, one, ("logits",)) for name, ask in asks.items()})
    labels, task = images.labels[indices], trained.task
    of_model = task.score(own, labels)
    answers = {name: task.decide(each) for name, each in logits.items()}
    rows = []
    for name in formats:
        score = task.score(logits[name], labels)
        loss = of_model - score
        rows.append(
            ShrinkRow(
                format=name,
                path=exported[name]["path"],
                megabytes=exported[name]["megabytes"],
                milliseconds=taken[name],
                score=score,
                changed=int(_differ(answers[name], answers[""]).sum()),
                loss=loss,
                meets=loss <= max_loss + 1e-9,
            )
        )
    meeting = [row for row in rows if row.meets]
    found = Shrunk(
        score_name=result.score_name,
        score=of_model,
        split=split,
        images=len(indices),
        max_loss=max_loss,
        rows=tuple(rows),
        smallest=min(meeting, key=lambda row: row.megabytes).format if meeting else None,
        fastest=min(meeting, key=lambda row: row.milliseconds).format if meeting else None,
    )
    run.write_result(dataclasses.replace(run.require_result(), shrink=dataclasses.asdict(found)))
    return found


def describe(found: Shrunk) -> str:
    """Returns the table as text, and the formats to choose."""
    score = in_words(found.score_name)
    lines = [
        f"{'format':<20}{'megabytes':>11}{'milliseconds':>14}{f'{found.split} {score}':>22}{'lost':>9}{'changed':>9}"
    ]
    lines += [
        f"{row.format:<20}{row.megabytes:>11.2f}{row.milliseconds:>14.2f}{row.score:>22.4f}{row.loss:>9.4f}{row.changed:>9}"
        f"{'' if row.meets else '  loses too much'}"
        for row in found.rows
    ]
    lines.append(
        f"(the run: {found.score:.4f} on {found.images} {found.split} images; changed answers among them; milliseconds for one "
        "image here, each in its runtime)"
    )
    if found.smallest is None:
        return "\n".join([*lines, f"none loses at most {found.max_loss:g}"])
    paths = {row.format: row.path for row in found.rows}
    return "\n".join(
        [
            *lines,
            f"within {found.max_loss:g}: smallest {found.smallest} ({paths[found.smallest]}), fastest {found.fastest} "
            f"({paths[found.fastest or found.smallest]})",
        ]
    )


def _is_exported(run: RunDirectory, name: str, source: Source | None) -> bool:
    """Exports a format that is missing; returns False, after a line, if it does not agree with training."""
    try:
        export_run(run, missing_exports(run, [name]), source=source)
    except ExportError as error:
        say(f"{name} is left out: {error}")
        return False
    return True


def _open(folder: pathlib.Path, name: str, trained: TrainedModel) -> Ask:
    chosen = FORMATS[name]
    return RUNTIMES[chosen.runtime](str(folder / chosen.file), trained.task.output_name)


def _answers(asks: dict[str, Ask], pixels: tf.data.Dataset) -> dict[str, np.ndarray]:
    """Returns the logits of each runtime for all images, float32 (k, outputs), which are decoded once."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in asks}
    for batch in pixels.batch(_BATCH):
        for name, ask in asks.items():
            found[name].append(ask(list(batch.numpy()), ("logits",))["logits"])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns for which images two sets of answers differ, bool (n,)."""
    different = one != other
    return different.reshape(len(different), -1).any(axis=1)
