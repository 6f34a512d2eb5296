"""Writes `report.html`: the results of a finished run on images that it did not train on, and where its student looks."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import softmax
from sklearn.metrics import confusion_matrix

from tl_keras.builder import Student, choose_backbone, plan_student
from tl_keras.config import train_command
from tl_keras.data.pipeline import evaluation_images, evaluation_order
from tl_keras.data.sources import Source
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.evaluation.calibration import mean_log_loss, out_of_fold_probabilities, reliability
from tl_keras.evaluation.metrics import accuracy_interval, classification_metrics
from tl_keras.experiments.measure import open_run
from tl_keras.files import replacing
from tl_keras.reporting import figures
from tl_keras.reporting.comparison_report import comparison_facts
from tl_keras.reporting.finished_run import FinishedRun, read_run
from tl_keras.reporting.grad_cam import grad_cam
from tl_keras.reporting.page import jpeg_uri, render
from tl_keras.serving.model_file import load_model
from tl_keras.training.phases import Phase, plan_phases
from tl_keras.training.preparation import views_per_image

REPORT = "report.html"

# Number of predictions shown of each kind, best and worst; each has two pictures of about 5 KiB.
_SHOWN = 8
_SIDE = 144  # of a picture, in pixels

_TIME = ("<!-- time -->", "<!-- /time -->")  # enclose the part that `refresh_time` rewrites

_MOST_PAIRS = 5  # of classes that are confused, in words


@dataclasses.dataclass(frozen=True)
class _Predictions:
    """The student's outputs for the images of one split, in the order of `evaluation_order`.

    Attributes:
      indices: int64 (n,), positions in the source.
      labels: int64 (n,).
      logits: float32 (n, classes).
      temperature: Temperature fitted on validation at the end of training.
    """

    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    temperature: float

    @property
    def scores(self) -> np.ndarray:
        """Returns the calibrated scores, float32 (n, classes), as the exported model computes them."""
        return softmax(self.logits / self.temperature, axis=-1)


@with_own_keras_settings
def write_report(
    workdir: str | os.PathLike[str], out: str | os.PathLike[str] = "", *, source: Source | None = None
) -> pathlib.Path:
    """Writes the page of a finished run.

    Example:
      ```python
      import tl_keras

      page = tl_keras.write_report("run1")
      assert page.name == "report.html"
      ```

    Args:
      workdir: Directory of the run.
      out: Path of the page; empty for `report.html` in the run directory.
      source: The run's images if they are in memory. None means the source in the run's config.

    Returns:
      The path of the page.

    Raises:
      DataError: The run is not finished, or its images can no longer be read.
      BackboneError: The model cannot be read.
      WorkdirError: The disk is full, or the place is not writable.
    """
    run, in_memory = read_run(workdir), source is not None
    config, source, splits = open_run(workdir, source=source)
    path = pathlib.Path(out or run.path / REPORT)
    student, temperature = _student(run)
    indices = evaluation_order(source, getattr(splits, run.split))
    answers = _Predictions(indices, source.labels[indices], run.logits(), temperature)
    phases = plan_phases(config, student, images=len(splits.train))
    text = render(
        "run.html",
        run=run,
        sentence=_sentence(run, student, classes=len(source.class_names)),
        **_measured(answers, source.class_names, split=run.split),
        **_examples(student, source, answers),
        **_training(run, student, phases),
        **_weaknesses(run),
        comparison=comparison_facts(run.compared_with()),
        in_memory=in_memory,
        again=_in_python(run) if in_memory else train_command(config, f"{run.path.name}_again"),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _in_python(run: FinishedRun) -> str:
    """Returns the lines of Python that repeat the training on images that no command can name."""
    return "\n".join(
        [
            "import json, pathlib, tl_keras",
            "from tl_keras.config import from_json",
            f"config = from_json(json.loads(pathlib.Path({str(run.path / 'config.json')!r}).read_text())['config'])",
            f"tl_keras.train_and_evaluate(config, {f'{run.path.name}_again'!r}, source=source)",
        ]
    )


def _student(run: FinishedRun) -> tuple[Student, float]:
    """Returns the student of a run, loaded from disk, and its temperature."""
    trained = load_model(run.path / "model.keras")
    teacher = choose_backbone(run.config.model)
    backbone = trained.model.get_layer("backbone")
    plan = plan_student(teacher, backbone, run.config.model)
    return Student(trained.model, backbone, trained.preprocess, plan, teacher), trained.statistics.temperature


def _sentence(run: FinishedRun, student: Student, *, classes: int) -> str:
    """Returns a sentence that says what was trained on what, and the result."""
    teacher = student.teacher.describe()
    done = {
        "replicate": f"The architecture of {student.teacher.spec.name} was trained from random weights",
        "feature_extraction": f"{teacher} got a new head, the rest stayed frozen",
        "fine_tune": f"{teacher} got a new head and was fine-tuned: {student.plan.describe()}",
    }[run.config.model.method]
    return (
        f"{done}. Trained on {run.result.images['train']:,} images of {classes} classes from {run.config.data.source}, it "
        f"answers {run.accuracy:.1%} of {run.images:,} {run.split} images correctly."
    )


def _measured(answers: _Predictions, names: tuple[str, ...], *, split: str) -> dict[str, Any]:
    """Returns accuracy, per-class figures, confused classes, and calibration."""
    metrics = classification_metrics(answers.labels, answers.logits, names)
    matrix = confusion_matrix(answers.labels, answers.logits.argmax(axis=-1), labels=range(len(names)))
    wrong = matrix - np.diag(matrix.diagonal())
    pairs = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS], wrong.shape))[0]
    before = reliability(softmax(answers.logits, axis=-1), answers.labels)
    # The temperature was fitted to validation images, which are therefore measured with temperatures fitted without them.
    scores = answers.scores if split == "test" else out_of_fold_probabilities(answers.logits, answers.labels)
    after = reliability(scores, answers.labels)
    return {
        "metrics": metrics,
        "interval": accuracy_interval(metrics["accuracy"], metrics["examples"]),
        "confusion": figures.confusion(matrix, names),
        "confused": [
            (names[right], names[answer], wrong[right, answer]) for right, answer in pairs if wrong[right, answer]
        ],
        "calibration": figures.calibration(before, after),
        "calibration_errors": (before.error, after.error),
        "likelihoods": [
            mean_log_loss(each, answers.labels)
            for each in (softmax(answers.logits.astype(np.float64), axis=-1), scores)
        ],
        "temperature": answers.temperature,
    }


def _examples(student: Student, source: Source, answers: _Predictions) -> dict[str, Any]:
    """Returns the predictions with the lowest and the highest score of the right class, as the network sees them."""
    of_right_class = answers.scores[np.arange(len(answers.labels)), answers.labels]
    order = np.argsort(of_right_class, kind="stable")
    worst, best = order[:_SHOWN], order[_SHOWN:][::-1][:_SHOWN]
    rows = np.sort(np.concatenate([worst, best]))
    images = evaluation_images(source, answers.indices[rows], transform=student.preprocess.evaluation_transform)
    overlays = _overlays(student, images, answers.logits[rows].argmax(axis=-1))
    shown = {
        row: _example(source, answers, row, image=image, overlay=overlay)
        for row, image, overlay in zip(rows.tolist(), images, overlays, strict=True)
    }
    return {"worst": [shown[row] for row in worst.tolist()], "best": [shown[row] for row in best.tolist()]}


def _overlays(student: Student, images: np.ndarray, classes: np.ndarray) -> list[np.ndarray | None]:
    """Returns each image, bright where it supports a class; None if the network's last map has a single place."""
    heat = grad_cam(student.model, images, classes)
    if heat[0].size == 1:
        return [None] * len(images)
    enlarged = tf.image.resize(heat[..., None], images.shape[1:3], method="bicubic").numpy().clip(0, 1)
    return [figures.overlay(image, places[..., 0]) for image, places in zip(images, enlarged, strict=True)]


def _example(
    source: Source, answers: _Predictions, row: int, *, image: np.ndarray, overlay: np.ndarray | None
) -> dict[str, Any]:
    answer = int(answers.logits[row].argmax())
    return {
        "id": source.ids[int(answers.indices[row])],
        "label": source.class_names[answers.labels[row]],
        "answer": source.class_names[answer],
        "score": float(answers.scores[row, answer]),
        "photo": jpeg_uri(image, _SIDE),
        "overlay": None if overlay is None else jpeg_uri(overlay, _SIDE),
    }


def _weaknesses(run: FinishedRun) -> dict[str, Any]:
    """Returns the audit's findings with figures, or the command that makes an audit."""
    audit = run.audit()
    if audit is None:
        return {"audit": None, "audit_command": shlex.join(["python", "-m", "tl_keras.audit", f"--workdir={run.path}"])}
    return {
        "audit": audit,
        "under_strain": figures.under_strain(audit),
        "mimicry": figures.mimicry(audit) if audit["mimicry"] else None,
    }


def _training(run: FinishedRun, student: Student, phases: tuple[Phase, ...]) -> dict[str, Any]:
    """Returns the phases, the network as the last phase trains it, the curves, and the time spent."""
    return {
        "phases": phases,
        "blocks": (blocks := _blocks(student, phases[-1], layer_decay=run.config.training.layer_decay)),
        "network": figures.network(blocks),
        "curves": figures.curves(run.epochs(), kept_epoch=run.result.kept_epoch),
        "views": views_per_image(run.config),
        **_time(run),
    }


def _time(run: FinishedRun) -> dict[str, Any]:
    """Returns the time spent, and when each accuracy was reached."""
    reached = run.result.time_to_accuracy
    return {
        "time_spent": figures.time_spent(run.result.seconds),
        "reached": reached[-1],
        "accuracy_by_time": figures.accuracy_by_time(reached, seconds=run.seconds),
    }


def refresh_time(workdir: str | os.PathLike[str]) -> None:
    """Rewrites the section on time of a run's page, because exports run after the page is written."""
    run = read_run(workdir)
    path = run.path / REPORT
    before, mark, after = path.read_text(encoding="utf-8").partition(_TIME[0])
    if mark:
        text = before + render("time.html", run=run, **_time(run)).strip() + after.partition(_TIME[1])[2]
        if text != before + mark + after:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _blocks(student: Student, phase: Phase, *, layer_decay: float) -> list[dict[str, Any]]:
    """Returns name, parameters and factor on the learning rate, 0 if frozen, of each block and of the head."""
    blocks = phase.plan.blocks
    rows = [
        {
            "name": block.name,
            "parameters": block.parameters,
            "rate": phase.rate_factor * layer_decay ** (len(blocks) - i) if block.trained_layers else 0.0,
        }
        for i, block in enumerate(blocks)
    ]
    head = sum(layer.count_params() for layer in student.head)
    return [*rows, {"name": "head", "parameters": head, "rate": phase.rate_factor}]
