"""Makes an ensemble: one model that answers by the average of the logits of a run's folds.

Every fold's network computes its own features; side by side they are the features of the ensemble, on which one linear layer gives
the average of all heads. It is an ordinary `model.keras`, as many times as large and as slow as there are folds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from tl_keras.config import TransferConfig, from_json
from tl_keras.console import in_words, number_of, say
from tl_keras.data.pipeline import evaluation_order
from tl_keras.errors import ConfigError
from tl_keras.heads import linear_head
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import SoupResult
from tl_keras.serving.export import export_finished, missing_exports
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.package import package_student
from tl_keras.serving.student_statistics import FEATURES_LAYER, make_predict_fn, predict_logits
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.out_of_fold import OutOfFold
from tl_keras.training.preparation import prepare


def check_ensemble(config: TransferConfig, label_kind: str) -> None:
    """Raises a ConfigError unless the heads of a run's folds can be averaged in one linear layer."""
    if config.model.head != "linear" or config.model.head_layers:
        raise ConfigError("ensemble: expected --head=linear. Received: another head. Leave one of the two out.")
    if label_kind == "numbers":
        raise ConfigError("ensemble: expected classes or labels. Received: a regression. Leave --ensemble out.")


def make_ensemble(
    run: RunDirectory, folds: Sequence[RunDirectory], found: OutOfFold, *, formats: Iterable[str], models: ModelCache
) -> SoupResult:
    """Writes the ensemble of a run's folds to `ensemble/` in its directory, and exports it unless it is worse on test images.

    Args:
      run: Directory of the run, whose model was trained on all labelled images.
      folds: Directories of its folds, finished.
      found: Predictions by the folds, which calibrate the ensemble.
      formats: Formats to export to.
      models: Cache of the runs, if they were trained in this process.

    Returns:
      The contents of `ensemble/soup.json`: the score of its parts out of fold, and its own on the test images, if there are any.

    Raises:
      DataError: The images can no longer be read.
      ExportError: The ensemble cannot be exported; it stays, and the same command tries again.
    """
    made, result = RunDirectory(run.path / "ensemble"), run.require_result()
    ensemble = made.read_soup() or _package(run, made, folds, found, models)
    name = in_words(ensemble.score_name)
    judged = f"out of fold {name} of its parts {ensemble.validation_score:.4f}"
    worse = False
    if ensemble.test_score is not None and result.test_score is not None:
        worse = ensemble.test_score < result.test_score
        judged = f"test {name} {ensemble.test_score:.4f}, of the model of all images {result.test_score:.4f}"
    kept = "; it is worse and not exported" if worse else ""
    say(f"ensemble: {made.path}, the average of {number_of(len(folds), 'fold')}: {judged}{kept}")
    if not worse:
        export_finished(made, missing_exports(made, formats))
    return ensemble


def _package(
    run: RunDirectory, made: RunDirectory, folds: Sequence[RunDirectory], found: OutOfFold, models: ModelCache
) -> SoupResult:
    """Builds, measures and writes the ensemble."""
    begun = run.read_config() or {}
    prepared = prepare(from_json(begun["config"]), models, images=found.images)
    source, splits = found.images.source, prepared.splits
    model = average_of([load_model(fold.model) for fold in folds])
    student = dataclasses.replace(prepared.student, model=model)
    predict = make_predict_fn(student, source, global_batch_size=prepared.config.training.global_batch_size)
    made.begin(
        config=begun["config"],
        data_hash=begun["data_hash"],
        splits=run.read_splits() or {},
        labels=source.class_names,
        data_revision=begun.get("data_revision"),
    )
    package_student(
        student,
        made,
        source,
        found.halves(),
        predict=predict,
        task=prepared.task,
        unseen_logits=found.logits_of,
    )
    test = splits.test
    logits = predict_logits(predict, source, test) if len(test) else None
    labels = source.labels[evaluation_order(source, test)]
    ensemble = SoupResult(
        of=[str(fold.path) for fold in folds],
        validation_score=found.score,
        test_score=None if logits is None else prepared.task.score(logits, labels),
        workdir=str(made.path),
        score_name=prepared.task.score_name,
    )
    made.write_soup(ensemble)
    return ensemble


def average_of(trained: Sequence[TrainedModel]) -> keras.Model:
    """Returns a model whose logits are the average of those of models with linear heads.

    Args:
      trained: Students of one preprocessing, whose logits are a linear function of their pooled features.
    """
    preprocess = trained[0].preprocess
    inputs = keras.Input(preprocess.network_shape, dtype=preprocess.input_dtype, name=preprocess.input_name)
    parts = []
    for number, each in enumerate(trained, start=1):
        part = keras.Model(each.model.input, each.model.get_layer(FEATURES_LAYER).output, name=f"fold_{number}")
        parts.append(part(inputs))
    features = keras.layers.Concatenate(name=FEATURES_LAYER, dtype="float32")(parts)
    heads = [linear_head(each.model) for each in trained]
    kernel = np.concatenate([kernel for kernel, _ in heads]) / len(heads)
    logits = keras.layers.Dense(kernel.shape[1], dtype="float32", name="logits")
    model = keras.Model(inputs, logits(features))
    logits.set_weights([kernel, np.mean([bias for _, bias in heads], axis=0)])
    return model
