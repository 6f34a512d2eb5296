"""Writes `report.html`: the results of a finished run on images that it did not train on, and where its student looks."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
from collections.abc import Iterable
from typing import Any

from tl_keras.builder import Student, choose_backbone, plan_student
from tl_keras.config import export_formats, train_command
from tl_keras.console import in_words, printable
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.evaluation.told import is_told
from tl_keras.experiments.measure import open_run
from tl_keras.files import replacing
from tl_keras.reporting import figures
from tl_keras.reporting.audit_figures import mimicry, under_strain
from tl_keras.reporting.augmented import augmented_samples
from tl_keras.reporting.comparison_report import comparison_facts
from tl_keras.reporting.finished_run import FinishedRun, read_run
from tl_keras.reporting.page import counted, render, score_text
from tl_keras.reporting.sections import SECTIONS, ReportedPredictions
from tl_keras.reporting.summary import next_steps, out_of_fold, snippet, verdict
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import read_decisions
from tl_keras.serving.model_file import load_model
from tl_keras.tasks.base import Task
from tl_keras.training.phases import Phase, plan_phases
from tl_keras.training.preparation import views_per_image

REPORT = "report.html"

# Titles of the parts of `tl_keras.reporting.sections` in the contents.
TITLES = {
    "classes": "By class",
    "calibration": "Calibration",
    "examples": "Examples",
    "decision": "Decision",
    "grades": "In grades",
    "labels": "By label",
    "numbers": "By number",
}

# By what the images of each split are counted, for each kind of labels.
_COUNTED_BY = {"class": "class", "labels": "label", "numbers": ""}

_ENDING = ("<!-- ending -->", "<!-- /ending -->")  # enclose the parts that `refresh_ending` rewrites


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
    student, temperature, task = _student(run)
    indices = evaluation_order(source, getattr(splits, run.split))
    answers = ReportedPredictions(source, run.split, indices, source.labels[indices], run.logits(), temperature, task)
    phases = plan_phases(config, student, images=len(splits.train))
    made = {name: SECTIONS[name](student, answers) for name in task.report_sections}
    sections = {name: facts for name, facts in made.items() if facts}  # a part without facts is left out
    weaknesses, remarks = _weaknesses(run, task), _remarks(run, source, splits)
    classes = sections.get("classes", {}).get("metrics", {}).get("classes", [])
    text = render(
        "run.html",
        run=run,
        sentence=_sentence(run, student, learnt=source.labelling.count(source.class_names)),
        remarks=remarks,
        verdict=verdict(run),
        steps=next_steps(run, classes, in_memory=in_memory),
        snippet=snippet(run),
        contents=_contents(run, sections, audited=any(weaknesses.values())),
        sections=sections,
        **_training(run, student, phases),
        counts=splits.counts(source),
        counted_by=_COUNTED_BY[source.labelling.kind],
        findings=_findings(run, source, said=remarks),
        samples=augmented_samples(config, source, splits.train, student.preprocess),
        **weaknesses,
        comparison=comparison_facts(run.compared_with(), page=path),
        in_memory=in_memory,
        again=_in_python(run) if in_memory else _again(run),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _remarks(run: FinishedRun, source: Source, splits: Splits) -> list[str]:
    """Returns sentences on the images that the run was trained and measured on."""
    given = run.result.pseudo_labels
    return [
        *([source.groups.describe()] if source.groups else []),
        *splits.remarks(),
        *([given["says"]] if given else []),
    ]


def _findings(run: FinishedRun, source: Source, *, said: list[str]) -> list[str]:
    """Returns what the run said of its images before training, but for what is `said` above, as beginnings of sentences.

    Those that begin with the name of a class or a number leave it as it is.
    """
    found = source.notes if run.result.remarks is None else run.result.remarks  # a run of an earlier version has none
    names = tuple(f"{printable(name)}: " for name in source.class_names)
    return [
        remark if remark.startswith(names) else f"{remark[0].upper()}{remark[1:]}"
        for remark in found
        if remark not in said
    ]


def _contents(run: FinishedRun, sections: Iterable[str], *, audited: bool) -> list[tuple[str, str]]:
    """Returns the id and the title of each part of the page, in order."""
    return [
        *((name, TITLES[name]) for name in sections),
        *([("weaknesses", "Inherited weaknesses")] if audited else []),
        ("data", "Data"),
        ("training", "Training"),
        ("time", "Time"),
        ("exports", "Exports"),
        *([("others", "Beside the other runs")] if run.compared_with() else []),
        ("again", "Again"),
    ]


def _in_python(run: FinishedRun) -> str:
    """Returns the lines of Python that repeat the training on images that no command can name."""
    again = f"{run.path.name}_again"
    train = f"tl_keras.train_and_evaluate(config, {again!r}"
    if run.result.folds:
        train = f"tl_keras.experiments.folds.train_with_folds(config, {again!r}, folds={run.result.folds['number']}"
    return "\n".join(
        [
            f"import json, pathlib, tl_keras{'.experiments.folds' if run.result.folds else ''}",
            "from tl_keras.config import from_json",
            f"config = from_json(json.loads(pathlib.Path({str(run.path / 'config.json')!r}).read_text())['config'])",
            f"{train}, source=source)",
        ]
    )


def _student(run: FinishedRun) -> tuple[Student, float, Task]:
    """Returns the student of a run, loaded from disk, its temperature and its task."""
    trained = load_model(run.path / "model.keras")
    teacher = choose_backbone(run.config.model)
    backbone = trained.model.get_layer("backbone")
    plan = plan_student(teacher, backbone, run.config.model)
    student = Student(trained.model, backbone, trained.preprocess, plan, teacher)
    return student, trained.statistics.temperature, trained.task


def _again(run: FinishedRun) -> str:
    """Returns the command that trains with exactly these settings, and exports what has been exported since as well."""
    exported = [row["format"] for row in run.result.export]
    formats = dict.fromkeys([*export_formats(run.config.export), *exported])
    config = dataclasses.replace(run.config, export=",".join(formats) or "none")
    more = [f"--folds={run.result.folds['number']}"] if run.result.folds else []
    if given := run.result.pseudo_labels:
        more.append(shlex.quote(f"--unlabelled={given['source']}"))
    return " ".join([train_command(config, f"{run.path.name}_again"), *more])


def _sentence(run: FinishedRun, student: Student, *, learnt: str) -> str:
    """Returns a sentence that says what was trained on what, and the result."""
    teacher = student.teacher.describe()
    done = {
        "replicate": f"The architecture of {student.teacher.spec.name} was trained from random weights",
        "feature_extraction": f"{teacher} got a new head, the rest stayed frozen",
        "fine_tune": f"{teacher} got a new head and was fine-tuned: {student.plan.describe()}",
    }[run.config.model.method]
    if run.result.fine_tuning_undone:
        done = f"{teacher} got a new head; fine-tuning made it worse and was undone"
    if run.config.distillation.teacher_run:
        done += f". It learnt the answers of {run.config.distillation.teacher_run}, a teacher run, beside the labels"
    inputs = run.result.inputs
    if folds := run.result.folds:
        return (
            f"{done}. Trained on all {folds['images']:,} labelled {inputs} of {learnt}. {out_of_fold(run)}; these are the "
            f"validation figures below{_test(run)}."
        )
    refit = run.result.refit
    trained_on = (
        f"{refit['images']:,} {inputs} (training and validation)"
        if refit
        else counted(run.result.images["train"], inputs[:-1])
    )
    score = f"is {score_text(run.result.score, run)}" if is_told(run.result, run.split) else "cannot be told"
    return (
        f"{done}. Trained on {trained_on} of {learnt} from {run.config.data.source}, its {in_words(run.result.score_name)} on "
        f"{counted(run.images, f'{run.split} {inputs[:-1]}')} {score}."
    )


def _test(run: FinishedRun) -> str:
    """Returns what the test images say beside the folds, if there are some."""
    if run.result.test_score is None:
        return ""
    score = score_text(run.result.test_score, run)
    return f"; on {counted(run.result.images['test'], f'test {run.result.inputs[:-1]}')}, which no fold has seen, it is {score}"


def _weaknesses(run: FinishedRun, task: Task) -> dict[str, Any]:
    """Returns the audit's findings with figures, or the command that makes an audit if there is one for the task."""
    audit = run.audit()
    if audit is None and run.result.inputs == "texts" and task.label_kind != "class":
        return {"audit": None, "audit_command": None}
    if audit is None:
        return {"audit": None, "audit_command": shlex.join(["python", "-m", "tl_keras.audit", f"--workdir={run.path}"])}
    return {
        "audit": audit,
        "audit_score": in_words(audit.get("score_name", "accuracy")),
        "under_strain": under_strain(audit),
        "mimicry": mimicry(audit) if audit["mimicry"] else None,
    }


def _training(run: FinishedRun, student: Student, phases: tuple[Phase, ...]) -> dict[str, Any]:
    """Returns the phases, the network as the last phase trains it, the curves, and the time spent."""
    return {
        "phases": phases,
        "decisions": read_decisions(RunDirectory(run.path)),
        "blocks": (blocks := _blocks(student, phases[-1], layer_decay=run.config.training.layer_decay)),
        "network": figures.network(blocks),
        "curves": figures.curves(run.epochs(), kept_epoch=run.result.kept_epoch),
        "views": views_per_image(run.config),
        **_time(run),
    }


def _time(run: FinishedRun) -> dict[str, Any]:
    """Returns the time spent, and when each score was reached."""
    score_name, reached = in_words(run.result.score_name), run.result.best_scores
    return {
        "time_spent": figures.time_spent(run.result.seconds),
        "score_name": score_name,
        "told": {split: is_told(run.result, split) for split in dict.fromkeys((run.split, "validation"))},
        "reached": reached[-1],
        "reached_cost": run.result.time_to_score[-1].get("cost"),
        "export_command": shlex.join(
            ["python", "-m", "tl_keras.export", f"--workdir={run.path}", "--format=saved_model"]
        ),
        "score_by_time": figures.score_by_time(reached, name=score_name, seconds=run.seconds),
    }


def refresh_ending(workdir: str | os.PathLike[str]) -> None:
    """Rewrites the sections on time and exports of a run's page, because exports run after the page is written."""
    run = read_run(workdir)
    path = run.path / REPORT
    before, mark, after = path.read_text(encoding="utf-8").partition(_ENDING[0])
    if mark:
        text = before + render("ending.html", run=run, **_time(run)).strip() + after.partition(_ENDING[1])[2]
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
