"""Makes a soup: one model whose weights are the average of several runs' weights (Wortsman et al. 2022, "Model soups").

Runs from the same teacher and seed lie in one basin of the loss: they begin with the same weights, and differ in which layers
they train. In serving, the average costs no more than one model, unlike an ensemble.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tl_keras.builder import Student, plan_student
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import RunResult, SoupResult
from tl_keras.serving.package import package_student
from tl_keras.training.loaded_run import LoadedRun, load_run
from tl_keras.training.model_cache import ModelCache


@with_own_keras_settings
def make_soup(
    workdirs: Sequence[pathlib.Path], workdir: str | os.PathLike[str], *, models: ModelCache
) -> SoupResult | None:
    """Averages runs greedily: the best first, each kept unless the validation score falls (algorithm 1 of the paper).

    Args:
      workdirs: Finished runs on the same images, with the same seed and teacher.
      workdir: Run directory, without exports, to write if the soup is better than every run in it.
      models: Model cache of the runs, if they were trained in this process.

    Returns:
      The contents of `soup.json`; None if no average beats the best run on validation.

    Raises:
      DataError: The images can no longer be read.
      WorkdirError: One of the runs is not finished.
    """
    runs = [RunDirectory(path) for path in workdirs]
    results = {run.path: run.require_result() for run in runs}
    scores = {path: result.validation_score for path, result in results.items()}
    if finished := RunDirectory(workdir).read_soup():  # may be of fewer runs
        return finished if finished.validation_score > max(scores.values()) else None
    runs.sort(key=lambda run: scores[run.path], reverse=True)
    # The layers below the first that any run has trained are the same in all runs.
    # As a rule the run that trains most trains the first; with `regex:` cuts it may be another.
    trains_most = max(results, key=lambda path: results[path].parameters_trained)
    most = load_run(trains_most, models)
    first = {path: _first_trained(most, result) for path, result in results.items()}
    deepest = min(first, key=lambda path: first[path])
    if first[deepest] < first[trains_most]:
        most = load_run(deepest, models)
    student, source, splits = most.prepared.student, most.prepared.source, most.prepared.splits

    best_run = scores[runs[0].path]
    soup, score, of = _weights_of(runs[0], student), best_run, [runs[0]]
    for run in runs[1:]:
        weights = _weights_of(run, student)
        mixed = [(one * len(of) + other) / (len(of) + 1) for one, other in zip(soup, weights, strict=True)]
        student.model.set_weights(mixed)
        found = most.score(splits.validation, task=most.prepared.task)
        if found >= score:
            soup, score, of = mixed, found, [*of, run]
    if score <= best_run:
        return None
    student.model.set_weights(soup)
    made = RunDirectory(workdir)
    begun = runs[0].read_config() or {}
    made.begin(
        config=begun["config"],
        data_hash=begun["data_hash"],
        splits=splits.to_json(source),
        labels=source.class_names,
        data_revision=begun.get("data_revision"),
    )
    package_student(student, made, source, splits, predict=most.predict, task=most.prepared.task)
    result = SoupResult(
        of=[str(run.path) for run in of],
        validation_score=score,
        workdir=str(made.path),
        score_name=most.prepared.task.score_name,
    )
    made.write_soup(result)
    return result


def _first_trained(opened: LoadedRun, result: RunResult) -> int:
    """Returns the position of the first layer of the backbone that trained in a run of the same network as one that is open."""
    student = opened.prepared.student
    plan = plan_student(student.teacher, student.backbone, opened.prepared.config.model, unfreeze=result.unfreeze)
    return plan.first_trained(student.backbone)


def _weights_of(run: RunDirectory, student: Student) -> list[np.ndarray]:
    """Returns a run's weights, loaded into a student of the same architecture, since building another takes seconds."""
    student.model.load_weights(run.model)
    return student.model.get_weights()
