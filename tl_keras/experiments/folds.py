"""Trains on folds and once more on everything: out-of-fold predictions of all labelled images, and one model that saw them all.

```
images ─► fold of each ─► a run a fold: trained on the others, measured on its own ─► OutOfFold ─► the final run, on all
```
"""

from __future__ import annotations

import copy
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig, export_formats, from_json, to_json
from tl_keras.console import in_words, number_of, say
from tl_keras.data.groups import deal, seed_of, units
from tl_keras.data.inspection import Reading
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import Source, SourceOptions, open_source
from tl_keras.data.splits import Splits
from tl_keras.distribution.cluster import read_cluster
from tl_keras.errors import ConfigError, DataError
from tl_keras.evaluation.folds import fold_interval, interval_to_expect, tell_little
from tl_keras.experiments.ensemble import check_ensemble, make_ensemble
from tl_keras.experiments.out_of_fold_table import write_predictions
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.folds import begin_folds, folds_begun, read_begun_config, run_of_fold
from tl_keras.runs.reasons import add_decisions
from tl_keras.runs.records import RunResult
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.tasks.base import task_named
from tl_keras.training.decided_by_images import decide_by_images, decided_alike
from tl_keras.training.image_remarks import say_once
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.out_of_fold import OutOfFold
from tl_keras.training.outcome import effect_of_groups
from tl_keras.training.phases import epochs_of_phases
from tl_keras.training.preparation import RunImages, decide, read_images
from tl_keras.training.published_weights import download_missing

_FOLDS_FOR_FEW = 5


def folds_for_few(
    config: TransferConfig, workdir: str | os.PathLike[str], *, models: ModelCache, source: Any = None
) -> int:
    """Returns the number of folds that a run of few labelled images is given: 5, or 0 where it needs none, and says why.

    It needs them if no split is declared and fewer than 78 images would be drawn for the test, see `tell_little`. A run that has
    begun goes on as it began.

    Args:
      config: Choices of the run, as `train_with_folds` takes them.
      workdir: Directory of the run.
      models: Cache of the run, so that the images are inspected only once.
      source: Images as in `train_and_evaluate`.

    Raises:
      TransferError: The images cannot be read.
    """
    run = RunDirectory(workdir)
    if read_begun_config(run):
        return folds_begun(run)
    if read_cluster() or config.data.train_examples_per_class or config.distillation.teacher_run:
        return 0
    decided = decide(config, source=source, run=run)
    download_missing(decided.model)
    images = read_images(decided, models, source=source)
    held_out = len(images.splits.test)
    if np.any(images.source.declared_splits != "") or not tell_little(held_out):
        return 0
    try:
        fold_of_each(_labelled(images), folds=_FOLDS_FOR_FEW, seed=config.seed)
    except DataError:
        say(
            "folds: none, since a class has too few images, or groups of them, to hold one out; they are held back instead"
        )
        return 0
    (low, high), noun = interval_to_expect(held_out), images.source.noun
    why = (
        f"{number_of(held_out, f'test {noun}')} would tell an accuracy to ±{(high - low) / 2:.2f} only"
        if held_out
        else "none would be tested"
    )
    say(f"folds: {_FOLDS_FOR_FEW}, since {why}; --folds=0 takes less time, and trains on fewer {noun}s")
    return _FOLDS_FOR_FEW


def train_with_folds(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    folds: int = 5,
    source: Any = None,
    models: ModelCache | None = None,
    measure_test: bool = True,
    ensemble: bool = False,
    stopwatch: Stopwatch | None = None,
    before_export: Callable[[pathlib.Path], None] | None = None,
) -> RunResult:
    """Trains a model for each fold on the other folds, then one on all labelled images, which is exported; resumes if killed.

    A test split that the source declares stays untouched. The final run trains as long as the folds, together, found best; its
    validation figures, report and calibration are those of the out-of-fold predictions.

    Example:
      ```python
      import tl_keras
      from tl_keras.experiments.folds import train_with_folds

      config = tl_keras.TransferConfig(export="none")
      config.data.source = "photos/"
      config.model.backbone = "teacher.keras"  # or a name, such as MobileNetV2
      config.model.method, config.training.epochs = "feature_extraction", 2
      result = train_with_folds(config, "folds3", folds=3)
      print(result.score, result.folds["interval"])
      ```

    Args:
      config: Choices of the run.
      workdir: Directory of the final run; the folds are below `folds/`, and `out_of_fold.csv` has the predictions.
      folds: Number of folds, at least 2.
      source: Images as in `train_and_evaluate`.
      models: Cache that several runs share. None means a new one.
      measure_test: Whether the test split is measured if there is one.
      ensemble: Whether the average of the folds' answers is made too, see `tl_keras.experiments.ensemble`.
      stopwatch: Stopwatch of the command. None means one that starts now.
      before_export: Function that is called with the run directory before anything is exported.

    Raises:
      ConfigError: The config keeps labelled images back, or several processes train.
      DataError: There are fewer images, or groups of them, than folds.
      TransferError: A run failed; the same call goes on with it.
    """
    if read_cluster():
        raise ConfigError("folds: expected one process. Received: TF_CONFIG with several workers. Unset it.")
    if config.data.train_examples_per_class:
        raise ConfigError(
            "folds: expected to train on all labelled images. Received: "
            f"train_examples_per_class={config.data.train_examples_per_class}. Leave it out."
        )
    if config.distillation.teacher_run:
        raise ConfigError(
            "folds: expected to learn from labels alone, since a teacher run has seen some of the images that folds hold out. "
            f"Received: teacher_run={config.distillation.teacher_run}. Leave one of them out."
        )
    watch, models, run = stopwatch or Stopwatch(), models or ModelCache(), RunDirectory(workdir)
    watch.start("folds")
    if source is not None:
        source = open_source(source, SourceOptions.of(config))
    decided = decide(config, source=source, run=run)
    run.check_writable()
    download_missing(decided.model)
    images = _labelled(read_images(decided, models, source=source))
    task = task_named(decided.task).with_labels(images.source.labels[images.splits.train])
    if ensemble:
        check_ensemble(decided, task.label_kind)
    decided, reasons = decide_by_images(decided, images, models)
    say_once(reasons, images.inspection, models)
    fold = fold_of_each(images, folds=folds, seed=config.seed)
    begin_folds(run, folds)
    add_decisions(run, reasons)
    found = train_folds(decided, images, fold, run, models)
    write_predictions(found, run, task)
    labelled = number_of(len(fold), f"labelled {images.source.noun}")
    say(f"folds: {describe(found)}; now all {labelled} train the final model")
    result = train_and_evaluate(
        decided_alike(config, decided),
        workdir,
        source=source,
        models=models,
        measure_test=measure_test,
        stopwatch=watch,
        before_export=before_export,
        out_of_fold=found,
    )
    if ensemble:
        parts = [run_of_fold(run, each) for each in range(folds)]
        make_ensemble(run, parts, found, formats=export_formats(config.export), models=models)
    return result


def fold_of_each(images: RunImages, *, folds: int, seed: int) -> np.ndarray:
    """Returns the fold of each labelled image, int64 (n,): classes are spread evenly, groups and copies stay together.

    Args:
      images: Images whose train split is all that are labelled.
      folds: Number of folds.
      seed: Seed of the folds; the order of the images does not matter.

    Raises:
      DataError: There are fewer images, or groups of them, than folds.
    """
    source, labelled = images.source, images.splits.train
    contents = images.inspection.sha256[labelled]
    order = np.argsort(contents, kind="stable")
    unit = units(contents[order], source.groups.names[labelled][order] if source.groups else None)
    number = int(unit.max()) + 1
    what = "groups" if source.groups else f"different {source.noun}s"
    if number < folds:
        remedy = f"Use --folds={number}" if number > 1 else f"Add {source.noun}s of others, or leave --folds out"
        raise DataError(
            f"{source.name}: expected at least {folds} {what}, one for each fold. Received {number}. {remedy}."
        )
    strata = source.labelling.strata(source.labels)
    fold: np.ndarray = np.empty(len(labelled), np.int64)
    fold[order] = deal(unit, strata[labelled][order], [1 / folds] * folds, seed=seed_of(contents, seed))
    for each in range(folds):
        held_out, others = source.labels[labelled[fold == each]], source.labels[labelled[fold != each]]
        if len(missing := source.labelling.not_trained(held_out, others)):
            names = ", ".join(source.class_names[label] for label in missing.tolist())
            raise DataError(
                f"{source.name}: expected at least two {what} of every class, so that a fold that holds one out has another to "
                f"train on. Received one of {names}. Add {source.noun}s, or leave --folds out."
            )
    return fold


def describe(found: OutOfFold) -> str:
    """Returns the score out of fold with its interval, and that of each fold."""
    low, high = found.interval
    each = ", ".join(f"{score:.3f}" for score in found.scores)
    return f"{in_words(found.score_name)} {found.score:.4f} out of fold (95% interval {low:.3f} to {high:.3f}; the folds: {each})"


def _labelled(images: RunImages) -> RunImages:
    """Returns the images with all that are labelled in both train and validation; a declared test split stays."""
    splits, declared = images.splits, "test" in images.source.declared_splits
    held_out = [] if declared else [splits.test]
    labelled = np.sort(np.concatenate([splits.train, splits.validation, *held_out]))
    test = splits.test if declared else splits.test[:0]
    return dataclasses.replace(
        images, splits=dataclasses.replace(splits, train=labelled, validation=labelled, test=test)
    )


def train_folds(
    config: TransferConfig, images: RunImages, fold: np.ndarray, of: RunDirectory, models: ModelCache
) -> OutOfFold:
    """Trains a run for each fold, and gathers what they predict for the images that they hold out.

    Args:
      config: Resolved config of the runs, which export nothing.
      images: Images whose train split is all that are dealt to the folds.
      fold: int64 (n,), fold of each of them, from `fold_of_each`.
      of: Directory of the run that has the folds.
      models: Cache that the runs share.

    Raises:
      TransferError: A run failed.
    """
    source, labelled = images.source, images.splits.train
    config = from_json(to_json(config))
    config.export, config.training.refit = "none", "off"  # the final run trains on all images
    number, task = int(fold.max()) + 1, task_named(config.task).with_labels(source.labels[labelled])
    logits: np.ndarray = np.zeros((len(labelled), task.outputs(source.class_names)), np.float32)
    histories, planned, scores, validation_images = [], [], [], 0
    for each in range(number):
        held_out = labelled[fold == each]
        say(f"fold {each + 1} of {number} holds out {number_of(len(held_out), source.noun)}")
        declaring = _holding_out(source, labelled, held_out)
        models.keep_images(declaring, images.inspection, SourceOptions.of(config), Reading.of(config))
        run = run_of_fold(of, each)
        result = train_and_evaluate(config, run.path, source=declaring, models=models)
        order = evaluation_order(declaring, held_out)
        trained_on = Splits.from_json(run.read_splits() or {}, source).train
        of_fold = task_named(config.task).with_labels(source.labels[trained_on])
        logits[np.searchsorted(labelled, order)] = task.converted(run.read_logits(), of_fold)
        histories.append(tuple(run.read_epochs(at_least=result.kept_epoch)))
        planned.append(epochs_of_phases(from_json((run.read_config() or {})["config"])))
        scores.append(result.score)
        validation_images += result.images["validation"]
    labels = source.labels[labelled]
    score = task.score(logits, labels)
    alike = effect_of_groups(task, images, labelled, logits)
    return OutOfFold(
        images=images,
        fold=fold,
        logits=logits,
        histories=tuple(histories),
        planned=tuple(planned),
        validation_images=validation_images,
        scores=tuple(scores),
        score=score,
        interval=fold_interval(score, task.interval(logits, labels), folds=number, design_effect=alike),
        score_name=task.score_name,
    )


def _holding_out(source: Source, labelled: np.ndarray, held_out: np.ndarray) -> Source:
    """Returns the source with one fold declared as test, the others as train, and everything else unused."""
    declaring = copy.copy(source)
    declaring.declared_splits = np.full(len(source), "unused", "U10")
    declaring.declared_splits[labelled] = "train"
    declaring.declared_splits[held_out] = "test"
    return declaring
