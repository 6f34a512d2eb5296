"""A run from its first to its last event: `train_and_evaluate`."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import Student, TeacherChoice, choose_backbone
from tl_keras.config import TransferConfig, export_formats, from_json, resolve, to_json, with_epochs
from tl_keras.console import say
from tl_keras.data.batch_shard import BatchShard
from tl_keras.data.decoded import held_decoded
from tl_keras.data.inspection import Inspection, Reading
from tl_keras.data.mirroring import measure_mirroring
from tl_keras.data.pipeline import evaluation_batches, evaluation_order, steps_per_epoch, training_batches
from tl_keras.data.sources import Source, SourceOptions, open_source
from tl_keras.data.splits import Splits, split_source
from tl_keras.distribution.distributor import Distributor, open_distributor
from tl_keras.distribution.hardware import Hardware, resolve_hardware
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.distribution.precision import computing_in
from tl_keras.errors import ConfigError, ExportError, TransferError
from tl_keras.files import replacing, writing
from tl_keras.freezing import FreezePlan
from tl_keras.runs.directory import RunDirectory, affects_result, run_identity
from tl_keras.runs.records import Progress, RunResult
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.serving.export import export_finished, missing_exports
from tl_keras.serving.formats import require_converters
from tl_keras.serving.package import package_student
from tl_keras.serving.student_statistics import PredictFn, make_predict_fn, predict_logits, with_features
from tl_keras.training.callbacks import EpochScalars, ProgressBar, RecordEpochs, StopOnNonFiniteLoss
from tl_keras.training.checkpoints import Checkpoint, read_checkpoint, restore, values_of
from tl_keras.training.feature_cache import FeatureCache
from tl_keras.training.features import Features, FeatureStore, ViewsOfImages
from tl_keras.training.freeze_check import FreezeCheck
from tl_keras.training.losses import balanced_class_weights, make_loss
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.phases import Phase, plan_phases
from tl_keras.training.rate_finder import find_learning_rate
from tl_keras.training.recalibration import recalibrate
from tl_keras.training.transforms import training_transform
from tl_keras.training.unchanged_images import require_unchanged_images
from tl_keras.user_folders import cache_folder

# A 3:2 photograph keeps 0.51 of its area in a centre crop of 7/8 of the short side, and no teacher minds.
_KEPT_AREA_WORTH_A_WORD = 0.45

# Bytes: what a laptop does not notice.
_MEMORY_FOR_VALIDATION = 2**27

# AdamW at 1e-3 took fine-tuned students of ten photos a class from 0.69 to 0.53, at 3e-4 to 0.71 (docs/benchmarks.md).
_SAFE_RATE = 3e-4


@with_own_keras_settings
def train_and_evaluate(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    source: Any = None,
    models: ModelCache | None = None,
    measure_test: bool = True,
    stopwatch: Stopwatch | None = None,
    before_export: Callable[[pathlib.Path], None] | None = None,
) -> RunResult:
    """Trains, evaluates and exports one student; resumes what was killed; exports what is trained, where that is missing.

    Args:
      config: What to do.
      workdir: The run directory; see `tl_keras.runs.directory`.
      source: Images as `tl_keras.ArraySource(images, labels)`, a DataFrame, or a dataset of `datasets` or `tf.data`. None: what
        `config.data.source` names.
      models: Give the same one to several runs, and they share what is costly to make.
      measure_test: Whether the test split is measured, where there is one.
      stopwatch: That of the command, which has run since its start. None: one that starts now.
      before_export: Called with the run directory of a trained run, whose result is there, before anything is exported.

    Returns:
      The contents of `result.json`; its `resumed` says whether any of the work had been done before.

    Raises:
      ExportError: An export failed; the run is finished all the same, and the same call tries the export again.
      TransferError: One of its kinds; the message is one line, and says what was expected, received, and the remedy.
    """
    watch, models, run = stopwatch or Stopwatch(), models or ModelCache(), RunDirectory(workdir)
    watch.start("preparing")
    if source is not None:
        source = open_source(source, SourceOptions.of(config))
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, source=source.name))
    config = resolve(_with_decided_flip(config, run))
    formats = export_formats(config.export)
    require_converters(formats)
    teacher = choose_backbone(config.model)
    config.model.image_size, config.model.alpha = teacher.preprocess.image_size, teacher.alpha
    run.check_writable()
    config = run.continued(config)
    finished = run.finished()
    if finished:
        require_unchanged_images(run, config, source, models)
    if finished and not missing_exports(run, formats):
        say(f"{run.path} holds this run, finished; nothing is left to do")
        return dataclasses.replace(finished, resumed=True)
    with run.locked():
        if finished:
            say(f"{run.path} holds this run, trained; it is exported now")
            watch.add(finished.seconds)
            trained = dataclasses.replace(finished, resumed=True)
        else:
            trained = _train_and_measure(config, run, teacher, source, models, watch, measure_test=measure_test)
            if trained.process:  # of several, one that does not write
                return trained
        return _report_and_export(run, trained, formats, source=source, watch=watch, before_export=before_export)


def _train_and_measure(
    config: TransferConfig,
    run: RunDirectory,
    teacher: TeacherChoice,
    source: Source | None,
    models: ModelCache,
    watch: Stopwatch,
    *,
    measure_test: bool,
) -> RunResult:
    """Trains and measures a run, and writes all of it but its exports."""
    hardware = resolve_hardware(config.strategy, replicas=config.replicas, precision=config.precision)
    hardware.require_divisible(config.training.global_batch_size)
    distributor = open_distributor(hardware)  # before TensorFlow computes: afterwards it joins no other workers
    if hardware.process:
        run = run.scratch_copy()
    keras.utils.set_random_seed(config.seed)
    source, inspection = models.images(
        config.data.source if source is None else source, SourceOptions.of(config), Reading.of(config)
    )
    begun = run.check_same_images(inspection.data_hash)
    known = run.read_splits() if begun else None  # by the rule of the version that began the run
    splits = Splits.from_json(known, source) if known else make_splits(config, source, inspection)
    config = dataclasses.replace(with_epochs(config, images=len(splits.train)), **hardware.chosen)
    if config.data.horizontal_flip == "auto":
        mirroring = measure_mirroring(source, splits.train, seed=config.seed)
        config.data.horizontal_flip = "on" if mirroring.allowed else "off"
        say(f"data: {mirroring.describe()}")
    for remark in (*source.notes, *inspection.findings, *splits.remarks(), *_crop_loss(teacher.preprocess, inspection)):
        say(f"data: {remark}")
    _require_same_work(distributor, config, inspection, run)
    with distributor.scope():
        student = models.student(teacher, config.model, num_classes=len(source.class_names), seed=config.seed)
    weights_hash = fingerprint(student.backbone)
    phases = plan_phases(config, student, images=len(splits.train))
    saved = _saved(run, run_identity(to_json(config), inspection.data_hash, splits.to_json(source)), begun=begun)
    resumed = run.begin(
        config=to_json(config),
        data_hash=inspection.data_hash,
        splits=splits.to_json(source, inspection),
        labels=source.class_names,
        data_revision=source.revision(),
    )
    say(describe(config, teacher, student, phases, splits, hardware))

    job = _job(config, student, phases, source, inspection, splits, run, models, distributor, watch)
    if any(phase.plan not in job.features for phase in phases):
        every_epoch = np.concatenate([splits.train, splits.validation])
        decoded = held_decoded(
            source,
            every_epoch,
            inspection,
            decode=teacher.preprocess.decode,
            limit_gib=config.cache.decoded_gib,
        )
        job = dataclasses.replace(job, source=decoded)
    test = splits.test if measure_test else splits.test[:0]
    with distributor.synchronized():
        progress = _train(job, phases, saved)
    watch.start("evaluating")
    predict = _predict_fn(job, phases[-1])
    logits = predict_logits(predict, source, test if len(test) else splits.validation)
    with replacing(run.logits) as temporary:
        np.savez(temporary, logits=logits)
    watch.start("packaging")
    calibration = package_student(student, run, job.source, splits, predict=predict)
    run.write_epochs(progress.history)
    tested = _measured_on(job, test, logits) if len(test) else None
    result = _result(job, progress, tested=tested, teacher_weights=weights_hash, calibration=calibration)
    run.write_result(result)
    return dataclasses.replace(result, resumed=resumed)


def _saved(run: RunDirectory, identity: dict[str, Any], *, begun: bool) -> Checkpoint | None:
    """Returns what a run goes on from, if anything.

    Raises:
      WorkdirError: It is of another run, or no checkpoint is whole, or files of a run are there that nothing vouches for.
    """
    saved, damage = read_checkpoint(run.checkpoint)
    if damage:
        say(f"checkpoint: {damage}; going on from the one before")
    if saved:
        saved.require(identity, path=run.checkpoint, begun=begun)
    elif not begun:
        run.require_no_run()
    return saved


def _report_and_export(
    run: RunDirectory,
    trained: RunResult,
    formats: Sequence[str],
    *,
    source: Source | None,
    watch: Stopwatch,
    before_export: Callable[[pathlib.Path], None] | None,
) -> RunResult:
    """Makes what follows from a trained run, and returns its result with it; the time goes into the result as well."""
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
        result = dataclasses.replace(exported, seconds=_rounded(watch.seconds()), resumed=trained.resumed)
        run.write_result(result)
    return result


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A finished run once more.

    Attributes:
      student: With the weights that the run kept.
      source: Its images.
      splits: Of the source.
      predict: What the student, with the weights that it has when asked, gives for images of the source.
    """

    student: Student
    source: Source
    splits: Splits
    predict: PredictFn

    def accuracy(self, indices: np.ndarray) -> float:
        """Returns the part of some images, 0 to 1, that the student answers rightly."""
        logits = predict_logits(self.predict, self.source, indices)
        return float(np.mean(logits.argmax(axis=-1) == self.source.labels[evaluation_order(self.source, indices)]))


@with_own_keras_settings
def load_run(workdir: str | os.PathLike[str], models: ModelCache) -> LoadedRun:
    """Opens a finished run again; what its frozen layers make of the images is in the cache.

    Args:
      workdir: The run directory.
      models: That of the run, if that was in this process, and nothing is built twice.
    """
    run = RunDirectory(workdir)
    config = from_json((run.read_config() or {})["config"])
    source, inspection = models.images(config.data.source, SourceOptions.of(config), Reading.of(config))
    known = run.read_splits()
    splits = Splits.from_json(known, source) if known else make_splits(config, source, inspection)
    student = models.student(
        choose_backbone(config.model), config.model, num_classes=len(source.class_names), seed=config.seed
    )
    phases = plan_phases(config, student, images=len(splits.train))
    distributor = open_distributor(
        resolve_hardware(config.strategy, replicas=config.replicas, precision=config.precision)
    )
    job = _job(config, student, phases, source, inspection, splits, run, models, distributor, Stopwatch())
    models.remember(student, _changing(job, phases))
    student.model.load_weights(run.model)
    return LoadedRun(student, source, splits, _predict_fn(job, phases[-1]))


def _with_decided_flip(config: TransferConfig, run: RunDirectory) -> TransferConfig:
    """Returns the config in which `horizontal_flip`, where it is left open, is what the run in the directory began with."""
    begun = run.read_config()
    if config.data.horizontal_flip != "auto" or begun is None:
        return config
    decided = from_json(begun["config"]).data.horizontal_flip
    return dataclasses.replace(config, data=dataclasses.replace(config.data, horizontal_flip=decided))


def make_splits(config: TransferConfig, source: Source, inspection: Inspection) -> Splits:
    """Returns the splits of a run with this config.

    Raises:
      DataError: They cannot be made.
    """
    return split_source(
        source,
        inspection,
        validation_fraction=config.data.validation_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.seed,
        train_examples_per_class=config.data.train_examples_per_class,
    )


def describe(
    config: TransferConfig,
    teacher: TeacherChoice,
    student: Student,
    phases: tuple[Phase, ...],
    splits: Splits,
    hardware: Hardware,
) -> str:
    """Returns what the run is going to do, and why, in a few sentences."""
    steps = " Then ".join(
        f"{phase.name}: {phase.epochs} epochs at {config.training.learning_rate * phase.rate_factor:.2g}, "
        f"{phase.plan.describe()}."
        for phase in phases
    )
    reason = {
        "replicate": "the architecture alone is kept, its weights are random: the measure of what transfer is worth",
        "feature_extraction": "only the new head is trained: right where the new images resemble the teacher's or are few",
        "fine_tune": "the head first, then the last layers at a small rate: right where the new images differ",
    }[config.model.method]
    lines = [
        f"teacher {teacher.describe()}, {teacher.preprocess.image_size} px; method {config.model.method}: {reason}.",
        f"{steps[0].upper()}{steps[1:]}",
        f"images: {len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test. "
        f"Device: {hardware.description}, because {hardware.reason}.",
    ]
    if teacher.weights == "none" and config.model.method != "replicate":
        lines.append(f"weights=none: {config.model.method} from random weights transfers nothing; use it to test only.")
    if student.plan.note:
        lines.append(f"{student.plan.note}.")
    rate = config.training.learning_rate * phases[-1].rate_factor
    if config.model.method == "fine_tune" and rate > _SAFE_RATE and teacher.weights != "none":
        lines.append(
            f"learning rate: {rate:.2g} is likely to erase what the teacher has learnt; 1e-5 to {_SAFE_RATE:g} is safe "
            "for pre-trained layers (--learning_rate, --config.training.fine_tune_learning_rate_factor)."
        )
    if hardware.precision != "float32":
        slow = " Slow on a CPU without AMX or AVX512-BF16: --precision=float32." if hardware.device == "cpu" else ""
        lines.append(
            "precision: the backbone trains in bfloat16; weights, head and loss, and all that is measured afterwards and "
            f"exported, are float32.{slow}"
        )
    if advice := hardware.scaling_rule(config.training.global_batch_size, config.training.learning_rate):
        lines.append(advice)
    if config.model.method == "fine_tune":
        lines.append(phases[-1].plan.table(layer_decay=config.training.layer_decay, batch_norm=config.model.batch_norm))
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Returns the versions of what decides the numbers."""
    return {
        "tl_keras": importlib.metadata.version("tl_keras"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@dataclasses.dataclass(frozen=True)
class _Job:
    """What every phase of a run shares."""

    config: TransferConfig
    student: Student
    source: Source
    splits: Splits
    run: RunDirectory
    models: ModelCache
    distributor: Distributor
    features: dict[FreezePlan, Features]  # of the plans whose frozen layers are cached
    data_hash: str
    watch: Stopwatch

    @property
    def identity(self) -> dict[str, Any]:
        """What its checkpoints are of."""
        return run_identity(to_json(self.config), self.data_hash, self.splits.to_json(self.source))

    def recipe_of_head(self, phases: tuple[Phase, ...]) -> str:
        """Returns all that decides what the first phase of several makes of the head: not where it is cut afterwards."""
        config = to_json(self.config)
        config["model"] |= {"unfreeze": "", "unfreeze_schedule": ""}
        return json.dumps([config, self.data_hash, phases[0].epochs, len(phases) > 1])


def _job(
    config: TransferConfig,
    student: Student,
    phases: tuple[Phase, ...],
    source: Source,
    inspection: Inspection,
    splits: Splits,
    run: RunDirectory,
    models: ModelCache,
    distributor: Distributor,
    watch: Stopwatch,
) -> _Job:
    """Returns the job, the features of frozen layers computed."""
    store = feature_store(config, student, phases, source, inspection, splits)
    features = _features_of_phases(distributor, models, store, student, phases)
    return _Job(config, student, source, splits, run, models, distributor, features, inspection.data_hash, watch)


def _require_same_work(
    distributor: Distributor, config: TransferConfig, inspection: Inspection, run: RunDirectory
) -> None:
    """Raises a ConfigError unless every process has the same options, images and checkpoint: they take the same steps."""
    options = affects_result(to_json(config))  # where features are kept is each machine's own
    checkpoint = run.checkpoint.read_bytes() if run.checkpoint.is_file() else b""
    work = hashlib.sha256(json.dumps([options, inspection.data_hash]).encode() + checkpoint).digest()
    if len(set(distributor.all_gather(int.from_bytes(work[:3], "big")))) > 1:
        raise ConfigError(
            "workers: expected the same options, images and --workdir, on a disk that all of them share, for each. Received: "
            "different ones. Start each with the same command."
        )


def views_per_image(config: TransferConfig) -> int:
    """Returns the views of each training image that epochs show in turn; 0: a new one in each."""
    if config.data.augmentation == "none":
        return 1
    return 0 if config.model.method == "replicate" else 1 + config.data.augmented_views


def feature_store(
    config: TransferConfig,
    student: Student,
    phases: tuple[Phase, ...],
    source: Source,
    inspection: Inspection,
    splits: Splits,
) -> FeatureStore | None:
    """Returns where the activations of frozen layers come from; None where each epoch must compute them."""
    data, views = config.data, views_per_image(config)
    if not config.cache.enabled or config.model.method == "replicate":
        return None
    if data.mixup or data.cutmix or views > max(phase.epochs for phase in phases):
        say("frozen layers: computed at every step, because each epoch sees the images in another way")
        return None
    images = ViewsOfImages(
        source=source,
        contents=inspection.sha256,
        evaluated=np.concatenate([splits.validation, splits.test]),
        trained=splits.train,
        views=views,
        evaluation_transform=student.preprocess.evaluation_transform,
        training_transform=_training_transform(config, student),
        augmentation=f"{data.augmentation} flip {data.horizontal_flip == 'on'}",
        seed=config.seed,
    )
    return open_feature_store(config, student, images)


def open_feature_store(
    config: TransferConfig, student: Student, images: ViewsOfImages, *, once: bool = False
) -> FeatureStore:
    """Returns the store in which runs with this config and student keep what frozen layers make of some images; see there."""
    kind = {
        "backbone": student.teacher.spec.name,
        "backend": keras.backend.backend(),
        "preprocess": student.preprocess.to_json(),
        "versions": versions(),
    }
    cache = FeatureCache(cache_folder(config.cache.folder), limit_gib=config.cache.limit_gib)
    return FeatureStore(cache, images, kind, engine=config.cache.engine, dtype=config.cache.dtype, once=once)


def _features_of_phases(
    distributor: Distributor,
    models: ModelCache,
    store: FeatureStore | None,
    student: Student,
    phases: tuple[Phase, ...],
) -> dict[FreezePlan, Features]:
    """Returns the features at the cut of each plan that has any, the shallowest computed first."""
    if store is None:
        return {}
    cuts = {phase.plan: models.cut(student, phase.plan) for phase in phases}
    by_depth = sorted(cuts.items(), key=lambda item: item[1].position)
    features = {plan: store.at(student, cut, others=models.cuts(student)) for plan, cut in by_depth}
    # Whether it pays is measured: on slow disks perhaps not on every machine, and all of them take the same steps.
    return {
        plan: found
        for plan, found in features.items()
        if all(distributor.all_gather(found is not None)) and found is not None
    }


def _train(job: _Job, phases: tuple[Phase, ...], saved: Checkpoint | None) -> Progress:
    """Trains all phases from where the last checkpoint stands; leaves the weights that are kept in the student.

    Args:
      job: What they share.
      phases: In their order.
      saved: The last checkpoint, if there is one.
    """
    with writing(job.run.checkpoints):
        job.run.checkpoints.mkdir(exist_ok=True)
    progress = saved.progress if saved else Progress()
    variables = _changing(job, phases)
    job.models.remember(job.student, variables)
    kept = saved.kept if saved else values_of(variables)
    first = progress.phase
    if progress.history:
        say(f"going on after epoch {len(progress.history)}")
        job.watch.add(progress.seconds or {"preparing": progress.preparing_seconds})
    elif shared := job.models.take_head(job.student, job.recipe_of_head(phases)):
        progress, first, kept = shared, 1, values_of(variables)
        say(f"head: as another run has trained it in {len(progress.history)} epochs")
        job.watch.add({phases[0].name: progress.seconds.get(phases[0].name, 0.0)})
    for position in range(first, len(phases)):
        phase = phases[position]
        if progress.phase != position or not (progress.phase_over or progress.phase_epochs >= phase.epochs):
            job.watch.start(phase.name)
        trainer = _trainer(job, phase)
        with computing_in(job.distributor.hardware.precision, job.student.backbone), job.distributor.fitting(trainer):
            if saved is not None and position == progress.phase:
                restore(job.run.checkpoint, [*variables, *trainer.optimizer.variables], saved.values)
            else:
                progress = progress.at_start_of(position)
                _begin(job, phase, trainer, progress)
            if not progress.phase_over and progress.phase_epochs < phase.epochs:
                _fit(job, phase, trainer, progress, variables, kept)
        restore(job.run.checkpoint, variables, kept)
        progress.seconds = job.watch.seconds()
        if position == 0 and len(phases) > 1:
            job.models.remember_head(job.student, job.recipe_of_head(phases), progress)
        saved = None
    return progress


def _changing(job: _Job, phases: tuple[Phase, ...]) -> list[keras.Variable]:
    """Returns the variables of the student that some phase may change."""
    cuts = [job.models.cut(job.student, phase.plan) for phase in phases]
    return min(cuts, key=lambda cut: cut.position).trained.variables


def _trainer(job: _Job, phase: Phase) -> keras.Model:
    with job.distributor.scope():
        return job.models.trainer(
            job.student,
            phase.plan,
            job.config.training,
            on_features=phase.plan in job.features,
            class_weights=_class_weights(job),
            hardware=job.distributor.hardware,
        )


def _begin(job: _Job, phase: Phase, trainer: keras.Model, progress: Progress) -> None:
    """Sets the schedule of a phase, and what is measured before it."""
    training = job.config.training
    steps = steps_per_epoch(len(job.splits.train), training.global_batch_size) * phase.epochs
    if training.find_learning_rate and not progress.learning_rate:
        progress.learning_rate = find_learning_rate(
            trainer,
            job.distributor.feed(_training_batches(job, phase, 0, 1, job.distributor.shard(training=True)).repeat()),
        )
        say(f"learning rate: {progress.learning_rate:.2g}, by a range test")
    if phase.recalibrate:
        recalibrate(trainer, phase.plan, job.student.backbone, _training_batches(job, phase, 0, 1))
    trainer.optimizer.begin(
        learning_rate=(progress.learning_rate or training.learning_rate) * phase.rate_factor,
        steps=steps,
        warmup_fraction=training.warmup_fraction,
    )


def _fit(
    job: _Job,
    phase: Phase,
    trainer: keras.Model,
    progress: Progress,
    variables: list[keras.Variable],
    kept: list[np.ndarray],
) -> None:
    """Trains what is left of a phase."""
    training, images = job.config.training, len(job.splits.train)
    first_epoch = len(progress.history)
    last_epoch = first_epoch + phase.epochs - progress.phase_epochs
    record = RecordEpochs(
        progress=progress,
        phase_name=phase.name,
        variables=variables,
        optimizer=trainer.optimizer,
        checkpoint=job.run.checkpoint,
        kept=kept,
        patience=training.early_stopping_patience,
        images_per_epoch=images,
        validation_images=len(job.splits.validation),
        write_history=job.run.write_epochs,
        stopwatch=job.watch,
        cached=phase.plan in job.features,
        identity=job.identity,
    )
    callbacks = [
        StopOnNonFiniteLoss(phase.name),
        FreezeCheck(phase.name, job.student, phase.plan, proofs=progress.proofs),
        record,  # before the line that says an epoch is over
        ProgressBar(
            phase.name,
            images_per_epoch=images,
            global_batch_size=training.global_batch_size,
            first_epoch=first_epoch,
            last_epoch=last_epoch,
            cached=phase.plan in job.features,
        ),
        *([keras.callbacks.SwapEMAWeights()] if training.ema_momentum else []),
        EpochScalars(job.run.logs),
    ]
    trainer.stop_training = False
    with writing(job.run.path):
        try:
            trainer.fit(
                job.distributor.feed(
                    _training_batches(job, phase, first_epoch, last_epoch, job.distributor.shard(training=True))
                ),
                steps_per_epoch=steps_per_epoch(images, training.global_batch_size),
                initial_epoch=first_epoch,
                epochs=last_epoch,
                validation_data=job.distributor.feed(_validation_batches(job, phase)),
                validation_steps=steps_per_epoch(len(job.splits.validation), training.global_batch_size),
                shuffle=False,  # the pipeline shuffles; Keras warns otherwise
                verbose=0,
                callbacks=callbacks,
            )
        except KeyboardInterrupt:  # Ctrl-C or SIGTERM, in the middle of an epoch
            record.write()
            raise


def _training_batches(
    job: _Job, phase: Phase, first_epoch: int, last_epoch: int, shard: BatchShard | None = None
) -> tf.data.Dataset:
    data, batch_size, seed = job.config.data, job.config.training.global_batch_size, job.config.seed
    if phase.plan in job.features:
        return job.features[phase.plan].training_batches(
            job.source,
            job.splits.train,
            global_batch_size=batch_size,
            seed=seed,
            first_epoch=first_epoch,
            last_epoch=last_epoch,
            shard=shard,
        )
    return training_batches(
        job.source,
        job.splits.train,
        transform=_training_transform(job.config, job.student),
        num_classes=len(job.source.class_names),
        global_batch_size=batch_size,
        seed=seed,
        first_epoch=first_epoch,
        last_epoch=last_epoch,
        views=views_per_image(job.config),
        plain=None if job.config.model.method == "replicate" else job.student.preprocess.evaluation_transform,
        mixup=data.mixup,
        cutmix=data.cutmix,
        shard=shard,
    )


def _training_transform(config: TransferConfig, student: Student) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return training_transform(
        student.preprocess, augmentation=config.data.augmentation, horizontal_flip=config.data.horizontal_flip == "on"
    )


def _evaluation_batches(
    job: _Job, phase: Phase, indices: np.ndarray, shard: BatchShard | None = None
) -> tf.data.Dataset:
    batch_size = job.config.training.global_batch_size
    if phase.plan in job.features:
        return job.features[phase.plan].evaluation_batches(
            job.source, indices, global_batch_size=batch_size, shard=shard
        )
    return evaluation_batches(
        job.source,
        indices,
        transform=job.student.preprocess.evaluation_transform,
        num_classes=len(job.source.class_names),
        global_batch_size=batch_size,
        shard=shard,
    )


def _validation_batches(job: _Job, phase: Phase) -> tf.data.Dataset:
    """Returns this process's share of the validation images, kept in memory over the epochs where they take little."""
    indices, size = job.splits.validation, job.student.preprocess.image_size
    nbytes = job.features[phase.plan].reader.spec.nbytes if phase.plan in job.features else 4 * 3 * size**2
    batches = _evaluation_batches(job, phase, indices, job.distributor.shard(training=False))
    return batches.cache() if len(indices) * nbytes <= _MEMORY_FOR_VALIDATION else batches


def _class_weights(job: _Job) -> np.ndarray | None:
    if job.config.training.class_weights == "none":
        return None
    return balanced_class_weights(job.source.labels[job.splits.train], len(job.source.class_names))


def _predict_fn(job: _Job, phase: Phase) -> PredictFn:
    """Returns what the student gives for images of the source, from what is cached at the phase's cut where there is any."""
    if phase.plan in job.features:
        model = job.models.cut(job.student, phase.plan).pooled
    elif job.distributor.hardware.processes > 1:  # of which `predict` would leave each with a part of the answers
        model = with_features(job.student.model)
    else:
        return make_predict_fn(job.student, job.source, global_batch_size=job.config.training.global_batch_size)

    def answers(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batches = _evaluation_batches(job, phase, indices)
        # Layer by layer: over few layers, tracing takes longer than it saves.
        features, logits = zip(*(model(inputs, training=False) for inputs, _ in batches), strict=True)
        return np.concatenate(features), np.concatenate(logits)

    return answers


def _result(
    job: _Job,
    progress: Progress,
    *,
    tested: tuple[float, float] | None,
    teacher_weights: str,
    calibration: dict[str, Any],
) -> RunResult:
    """Returns the result of a run that is trained, without exports.

    Args:
      job: What its phases shared; the student has the weights that are kept.
      progress: Of the run, at its end.
      tested: Accuracy and loss on the test images, where they were measured.
      teacher_weights: Hash of the teacher's weights before training.
      calibration: As `package_student` returns it.
    """
    config, student, splits = job.config, job.student, job.splits
    kept = progress.history[progress.kept_epoch - 1]
    trained = sum(math.prod(weight.shape) for weight in student.model.trainable_weights)
    test_accuracy, test_loss = tested or (None, None)
    return RunResult(
        validation_accuracy=kept.validation_accuracy,
        validation_loss=kept.validation_loss,
        loss=kept.validation_loss,
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        method=config.model.method,
        backbone=student.teacher.spec.name,
        weights=student.teacher.weights,
        unfreeze=config.model.unfreeze,
        kept_phase=progress.kept_phase,
        kept_epoch=progress.kept_epoch,
        fine_tuning_undone=progress.kept_phase == "head" if config.model.method == "fine_tune" else None,
        freeze_proof=progress.proofs,
        seconds=_rounded(job.watch.seconds()),
        images_per_second=_median(epoch.images_per_second for epoch in progress.history),
        cached_images_per_second=_median(epoch.cached_images_per_second for epoch in progress.history),
        time_to_accuracy=_time_to_accuracy(progress, price_per_hour=config.price_per_hour),
        parameters_trained=trained,
        parameters_frozen=student.model.count_params() - trained,
        images={"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
        seed=config.seed,
        hardware=job.distributor.hardware.to_json(),
        versions=versions(),
        hashes={
            "teacher_weights": teacher_weights,
            "student_weights": fingerprint(student.model),
            "data": job.data_hash,
        },
        calibration=calibration,
    )


def _measured_on(job: _Job, test: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """Returns accuracy and loss on the test images, from the logits of the kept weights."""
    labels = job.source.labels[evaluation_order(job.source, test)]
    loss = make_loss(label_smoothing=job.config.training.label_smoothing, class_weights=_class_weights(job))
    losses = loss(keras.ops.one_hot(labels, logits.shape[-1]), logits)
    return float(np.mean(logits.argmax(axis=-1) == labels)), float(keras.ops.mean(losses))


def _median(speeds: Iterable[float | None]) -> float | None:
    """Returns the speed of the median epoch, which the slow first one does not move; None where no epoch has one."""
    measured = [speed for speed in speeds if speed]
    return float(np.median(measured)) if measured else None


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {part: round(spent, 3) for part, spent in seconds.items()}


def _time_to_accuracy(progress: Progress, *, price_per_hour: float) -> list[dict[str, float]]:
    """Returns each best validation accuracy so far, the seconds after which it was reached and, at a price, what they cost.

    Seconds count from the start of the command, preparing included, as DAWNBench does (Coleman et al. 2017).
    """
    reached: list[dict[str, float]] = []
    seconds = progress.preparing_seconds
    for epoch in progress.history:
        seconds = seconds + epoch.seconds if epoch.elapsed_seconds is None else epoch.elapsed_seconds
        if not reached or epoch.validation_accuracy > reached[-1]["validation_accuracy"]:
            cost = {"cost": round(seconds / 3600 * price_per_hour, 6)} if price_per_hour else {}
            reached.append({"validation_accuracy": epoch.validation_accuracy, "seconds": round(seconds, 3), **cost})
    return reached


def _crop_loss(preprocess: PreprocessSpec, inspection: Inspection) -> list[str]:
    """Returns a sentence where the teacher's crop throws away much of the images."""
    heights, widths = inspection.heights[inspection.decodable], inspection.widths[inspection.decodable]
    kept = float(np.mean(preprocess.kept_fraction(heights, widths)))
    if kept >= _KEPT_AREA_WORTH_A_WORD:
        return []
    return [
        f"the teacher's centre crop keeps {kept:.0%} of the images' area on average; --resize=squash or --resize=pad keeps all"
    ]
