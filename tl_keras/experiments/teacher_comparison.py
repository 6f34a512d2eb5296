"""Trains a small student with and without the answers of a finished run, and puts both beside that run: `distil`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tl_keras.config import DistillationConfig, TransferConfig, from_json, to_json
from tl_keras.console import in_words, number_of
from tl_keras.errors import ConfigError
from tl_keras.experiments.comparison import Row, Variant, compare, export_first_runs
from tl_keras.experiments.measure import measured, open_run
from tl_keras.experiments.timing import call_on_one_image, milliseconds
from tl_keras.files import replacing
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import load_model
from tl_keras.serving.predictor import load_predictor
from tl_keras.training.distillation import require_finished

# Options of the data that decide which images are measured.
_OF_DATA = (
    *("source", "data_dir", "splits", "columns", "class_order", "images_in", "group_by"),
    *("validation_fraction", "test_fraction", "train_examples_per_class", "max_pixels"),
)


@dataclasses.dataclass(frozen=True)
class DistillationRow:
    """A line of the table.

    Attributes:
      name: `student alone`, `distilled` or `teacher run`.
      score: Score on the test images, or on those of validation where there are none.
      parameters: Number of parameters.
      milliseconds: Time for one image on this machine.
    """

    name: str
    score: float
    parameters: int
    milliseconds: float


@dataclasses.dataclass(frozen=True)
class Distillation:
    """What was trained and measured.

    Attributes:
      rows: Lines for the student alone, the distilled one and the teacher run.
      runs: Rows of the comparison of the two students.
      score_name: Name of the score, in words.
    """

    rows: tuple[DistillationRow, ...]
    runs: tuple[Row, ...]
    score_name: str

    @property
    def gap_closed(self) -> float | None:
        """Returns the part of the distance from the student alone to the teacher run that is closed; None if there is none."""
        alone, distilled, teacher = (row.score for row in self.rows)
        return (distilled - alone) / (teacher - alone) if teacher > alone else None


def with_data_of(config: TransferConfig, teacher_run: str) -> TransferConfig:
    """Returns a config with the images, splits and task of a finished run, so that what that has trained on is not measured.

    Args:
      config: Config of the student.
      teacher_run: Directory of the run.

    Raises:
      ConfigError: There is no run.
    """
    require_finished(teacher_run)
    begun = RunDirectory(teacher_run).read_config()
    if begun is None:  # a model that was copied alone
        raise ConfigError(
            f"teacher_run: expected the directory of a finished run. Received: {teacher_run}, without config.json. Name --data, "
            "the images that it was trained on."
        )
    taught, config = from_json(begun["config"]), from_json(to_json(config))
    for name in _OF_DATA:
        setattr(config.data, name, getattr(taught.data, name))
    config.task, config.seed = taught.task, taught.seed
    return config


def distil(config: TransferConfig, workdir: str | os.PathLike[str]) -> Distillation:
    """Trains the student alone and with the answers of its teacher run, exports the latter, and measures all three.

    Finished runs are not trained again.

    Args:
      config: Config of the student, with `distillation.teacher_run`.
      workdir: Directory that receives the runs `alone/seed_N` and `distilled/seed_N`, and the table as `distill.txt`.

    Raises:
      TransferError: An error of one of its classes, whose message is one line with what was expected, received, and the remedy.
    """
    require_finished(config.distillation.teacher_run)
    alone = from_json(to_json(config))
    alone.distillation, alone.export = DistillationConfig(), "none"
    variants = (Variant("alone", alone), Variant("distilled", config))
    runs = compare(variants, workdir, seeds=1)
    export_first_runs(runs, variants)
    folders = [*(run.workdirs[0] for run in runs), pathlib.Path(config.distillation.teacher_run)]
    names = ("student alone", "distilled", "teacher run")
    models = {name: load_model(RunDirectory(folder).model).model for name, folder in zip(names, folders, strict=True)}
    taken = milliseconds({name: call_on_one_image(model) for name, model in models.items()})
    scores = [*(run.results[0].score for run in runs), _score_of(folders[-1], as_measured_in=folders[0])]
    rows = [
        DistillationRow(name, score, models[name].count_params(), taken[name])
        for name, score in zip(names, scores, strict=True)
    ]
    found = Distillation(tuple(rows), runs, in_words(runs[0].results[0].score_name))
    with replacing(RunDirectory(workdir).path / "distill.txt") as temporary:
        temporary.write_text(f"{table(found)}\n", encoding="utf-8")
    return found


def table(found: Distillation) -> str:
    """Returns the table as text, and a line that says how much of the gap is closed."""
    split = found.runs[0].results[0].split
    lines = [f"{'':<14}{f'{split} {found.score_name}':>22}{'parameters':>14}{'megabytes':>11}{'milliseconds':>14}"]
    lines += [
        f"{row.name:<14}{row.score:>22.4f}{row.parameters:>14,}{4e-6 * row.parameters:>11.1f}{row.milliseconds:>14.1f}"
        for row in found.rows
    ]
    closed = found.gap_closed
    said = (
        "no gap: the student alone is at least as good as the teacher run"
        if closed is None
        else f"gap closed: {closed:.0%}"
    )
    said += f", by {number_of(found.runs[0].results[0].images[split], f'{split} image')}"
    return "\n".join([*lines, f"({said}; megabytes in float32; milliseconds for one image here, in TensorFlow)"])


def _score_of(teacher_run: pathlib.Path, *, as_measured_in: pathlib.Path) -> float:
    """Returns the score of a run on the images that another one reports."""
    _, source, splits = open_run(as_measured_in)
    indices: Sequence[int] | np.ndarray = splits.test if len(splits.test) else splits.validation
    predictor = load_predictor(teacher_run)
    measures = measured(predictor, source, np.asarray(indices), batch_size=32)
    return float(measures[predictor.task.score_name])
