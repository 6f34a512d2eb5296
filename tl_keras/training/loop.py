"""Takes a run from its first to its last event: `train_and_evaluate`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tl_keras.backbones.weights import fingerprint
from tl_keras.config import TransferConfig, export_formats, to_json, unused_options
from tl_keras.console import Level, say
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import Source, SourceOptions, open_source
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import ExportError, TransferError, if_stopped
from tl_keras.files import replacing
from tl_keras.lora import merge_lora
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.finished import finished_result
from tl_keras.runs.folds import require_no_folds
from tl_keras.runs.reasons import add_decisions
from tl_keras.runs.records import Progress, RunResult
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.serving.export import export_finished, missing_exports
from tl_keras.serving.formats import require_converters
from tl_keras.serving.package import package_student
from tl_keras.serving.student_statistics import predict_logits
from tl_keras.training.announcement import announcement, freeze_table
from tl_keras.training.distillation import require_what_teaches
from tl_keras.training.image_remarks import say_once
from tl_keras.training.inputs import PhaseInputs, open_inputs
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.out_of_fold import OutOfFold
from tl_keras.training.outcome import outcome, rounded
from tl_keras.training.own_parts import NO_PARTS, OwnParts
from tl_keras.training.phase_runner import checkpoint_of, run_phases
from tl_keras.training.preparation import PreparedRun, RunImages, decide, distributor_of, prepare
from tl_keras.training.refitting import Refit, images_of_refit, initial_values, refit
from tl_keras.training.unchanged_images import require_unchanged_images


@with_own_keras_settings
@if_stopped("the same command continues")
def train_and_evaluate(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    source: Any = None,
    models: ModelCache | None = None,
    measure_test: bool = True,
    stopwatch: Stopwatch | None = None,
    before_export: Callable[[pathlib.Path], None] | None = None,
    out_of_fold: OutOfFold | None = None,
    images: RunImages | None = None,
    own_parts: OwnParts = NO_PARTS,
) -> RunResult:
    """Trains, evaluates and exports one student; resumes a run that was killed; makes the exports that a trained one lacks.

    Example:
      ```python
      import tl_keras

      config = tl_keras.TransferConfig(export="none")  # or saved_model, the default
      config.data.source = "photos/"
      config.model.backbone = "teacher.keras"  # or a name, such as MobileNetV2
      config.model.method = "feature_extraction"
      config.training.epochs = 2
      result = tl_keras.train_and_evaluate(config, "run3")
      print(result.validation_accuracy, result.test_accuracy)
      ```

    Args:
      config: Choices of the run.
      workdir: The run directory; see `tl_keras.runs.directory`.
      source: Images as `tl_keras.ArraySource(images, labels)`, a DataFrame, or a dataset of `datasets` or `tf.data`. None means
        the images that `config.data.source` names.
      models: Cache that several runs share, so that networks and traced functions are made once. None means a new one.
      measure_test: Whether the test split is measured if there is one.
      stopwatch: Stopwatch of the command, running since its start. None means one that starts now.
      before_export: Function that is called with the run directory when the result exists and nothing is exported yet.
      out_of_fold: Findings of folds, as `tl_keras.experiments.folds` makes them: all labelled images are trained on.
      images: Images of the same source that were read and split before; None reads them, and splits them by the config.
      own_parts: Callbacks and augmentation of the program, which `config.json` names and cannot make again.

    Returns:
      The contents of `result.json`; its `resumed` tells whether any of the work had been done before.

    Raises:
      ExportError: An export failed; the run is finished nevertheless, and the same call tries the export again.
      TransferError: An error of one of its classes, whose message is one line with what was expected, received, and the remedy.
    """
    watch, models, run = stopwatch or Stopwatch(), models or ModelCache(), RunDirectory(workdir)
    watch.start("preparing")
    if source is not None:
        source = open_source(source, SourceOptions.of(config))
    config = _decided(config, models, source=source, run=run)
    own_parts.check(config.data.augmentation)
    formats = export_formats(config.export)
    require_converters(formats)
    run.check_writable()
    config = run.continued(config)
    own_parts = own_parts.begun((run.read_config() or {}).get("own_parts"))
    finished = finished_result(run)
    if finished:
        require_unchanged_images(run, config, source, models)
    if finished and not missing_exports(run, formats):
        say(f"{run.path} holds this run, finished; nothing is left to do")
        return dataclasses.replace(finished, resumed=True)
    if not finished:
        require_what_teaches(config.distillation)
        if not out_of_fold:
            require_no_folds(run)
    with run.locked():
        if finished:
            lacking = ", ".join(missing_exports(run, formats))
            say(f"{run.path} holds this run, trained; {lacking} is missing or incomplete, and exported now")
            watch.add(finished.seconds)
            trained = dataclasses.replace(finished, resumed=True)
        else:
            distributor = distributor_of(config)  # before TensorFlow computes: afterwards it joins no other workers
            prepare_run = functools.partial(
                prepare,
                config,
                models,
                source=source,
                images=out_of_fold.images if out_of_fold else images,
                distributor=distributor,
                own_parts=own_parts,
            )
            train = functools.partial(_train, prepare_run, watch, measure_test=measure_test, out_of_fold=out_of_fold)
            if distributor.hardware.process:  # of several, one writes
                return train(run.scratch_copy())
            trained = train(run)
        with if_stopped(
            f"training is finished and its result is in {run.path}; the same command reports and exports it"
        ):
            return _report_and_export(run, trained, formats, source=source, watch=watch, before_export=before_export)


def _decided(config: TransferConfig, models: ModelCache, *, source: Any, run: RunDirectory) -> TransferConfig:
    """Returns what `decide` makes of a config, after saying once which of its options do nothing."""
    decided = decide(config, source=source, run=run)
    for sentence in unused_options(config):
        models.once(("option", sentence), functools.partial(say, sentence))
    return decided


def _train(
    prepare_run: Callable[..., PreparedRun],
    watch: Stopwatch,
    run: RunDirectory,
    *,
    measure_test: bool,
    out_of_fold: OutOfFold | None,
) -> RunResult:
    """Trains and measures a run, and writes all of it but its exports."""
    prepared = prepare_run(run=run)
    say_once((*prepared.remarks, *prepared.reasons), prepared.images.inspection, prepared.models)
    saved = checkpoint_of(prepared, run)
    resumed = run.begin(
        config=to_json(prepared.config),
        data_hash=prepared.images.inspection.data_hash,
        splits=_splits_to_json(prepared.images),
        labels=prepared.source.class_names,
        data_revision=prepared.source.revision(),
        own_parts=prepared.own_parts.to_json(),
    )
    add_decisions(run, prepared.reasons)
    on_all = 0 if out_of_fold or not measure_test else images_of_refit(prepared)
    say(announcement(prepared, refit_on=on_all, measured_by_folds=out_of_fold is not None))
    say(freeze_table(prepared), Level.DETAIL)
    teacher_weights = fingerprint(prepared.student.backbone)
    inputs = open_inputs(prepared)
    initial = initial_values(prepared) if on_all else []
    with prepared.distributor.synchronized():
        progress = run_phases(
            prepared, inputs, run, saved=saved, stopwatch=watch, out_of_fold=out_of_fold, refit_on=on_all
        )
    refitted = refit(prepared, initial, inputs[-1], progress, run=run, watch=watch) if on_all else None

    with if_stopped("training is finished; the same command measures, reports and exports it"):
        result = _measure(
            prepared,
            inputs[-1],
            progress,
            run,
            watch,
            measure_test=measure_test,
            teacher_weights=teacher_weights,
            out_of_fold=out_of_fold,
            refitted=refitted,
        )
    return dataclasses.replace(result, resumed=resumed)


def _splits_to_json(images: RunImages) -> dict[str, Any]:
    """Returns the contents of `splits.json`; images without labels are in none, and count for the epochs."""
    distilled = [images.source.ids[index] for index in images.distilled]
    return images.recorded_splits() | ({"unlabelled": distilled} if distilled else {})


def _measure(
    prepared: PreparedRun,
    inputs: PhaseInputs,
    progress: Progress,
    run: RunDirectory,
    watch: Stopwatch,
    *,
    measure_test: bool,
    teacher_weights: str,
    out_of_fold: OutOfFold | None,
    refitted: Refit | None,
) -> RunResult:
    """Measures a student with its final weights, and writes the result and everything that exports are made from."""
    watch.start("evaluating")
    merge_lora(prepared.student.backbone)
    predict = inputs.predict_fn()
    test = prepared.splits.test if measure_test else prepared.splits.test[:0]
    reported = test if len(test) else prepared.splits.validation
    if out_of_fold and not len(test):
        reported = out_of_fold.labelled
        logits = out_of_fold.logits_of(evaluation_order(prepared.source, reported))
    else:
        logits = predict_logits(predict, prepared.source, reported)
    with replacing(run.logits) as temporary:
        np.savez(temporary, logits=logits, labels=prepared.source.labels[evaluation_order(prepared.source, reported)])
    watch.start("packaging")
    unseen = out_of_fold or refitted
    packaged = package_student(
        prepared.student,
        run,
        inputs.source,
        out_of_fold.halves() if out_of_fold else prepared.splits,
        predict=predict,
        task=prepared.task,
        unseen_logits=unseen.logits_of if unseen else None,
        unseen_images=test if unseen and len(test) else None,
    )
    run.write_epochs(progress.history)
    result = outcome(
        prepared,
        progress,
        test=test,
        logits=logits,
        teacher_weights=teacher_weights,
        packaged=packaged,
        seconds=watch.seconds(),
        out_of_fold=out_of_fold,
    )
    result = dataclasses.replace(result, refit=refitted.to_json() if refitted else None)
    run.write_result(result)
    return result


def _report_and_export(
    run: RunDirectory,
    trained: RunResult,
    formats: Sequence[str],
    *,
    source: Source | None,
    watch: Stopwatch,
    before_export: Callable[[pathlib.Path], None] | None,
) -> RunResult:
    """Makes the report and the exports of a trained run, and returns its result with them and the seconds that they took."""
    if before_export:
        watch.start("reporting")
        before_export(run.path)
    watch.start("exporting" if formats else "packaging")
    try:
        export_finished(run, missing_exports(run, formats), source=source)
    except TransferError as error:
        raise ExportError(
            f"{error} The run is finished: its result is in {run.path}, and the same command tries the export again."
        ) from error
    finally:
        exported = run.read_result() or trained  # `export_finished` adds each export to the file
        result = dataclasses.replace(exported, seconds=rounded(watch.seconds()), resumed=trained.resumed)
        run.write_result(result)
    return result
