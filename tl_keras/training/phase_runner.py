"""Trains the phases of a run, from wherever it stands: `run_phases`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from tl_keras.console import number_of, say
from tl_keras.data.pipeline import steps_per_epoch
from tl_keras.distribution.precision import computing_in
from tl_keras.evaluation.selection import EpochScore, LastOfPhase
from tl_keras.files import writing
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import EpochRecord, Progress
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.training.callbacks import EpochScalars, ProgressBar, RecordEpochs, StopOnNonFiniteLoss
from tl_keras.training.checkpoints import Checkpoint, read_checkpoint, restore, values_of
from tl_keras.training.feature_scale import scale_head
from tl_keras.training.freeze_check import FreezeCheck
from tl_keras.training.inputs import PhaseInputs, validation_batches
from tl_keras.training.out_of_fold import OutOfFold, ScoresOfFolds
from tl_keras.training.phases import Phase
from tl_keras.training.preparation import PreparedRun
from tl_keras.training.rate_finder import find_learning_rate
from tl_keras.training.recalibration import recalibrate
from tl_keras.training.time_left import TimeLeft, time_after


@dataclasses.dataclass
class _Start:
    """The point where training begins.

    Attributes:
      progress: Progress so far.
      position: Position of the first phase to train.
      kept: Values of the trained variables at the kept epoch so far.
      values: Values of the trained variables and the optimizer in the middle of that phase; None if the phase begins.
    """

    progress: Progress
    position: int
    kept: list[np.ndarray]
    values: list[np.ndarray] | None = None


def checkpoint_of(prepared: PreparedRun, run: RunDirectory) -> Checkpoint | None:
    """Returns the checkpoint that a run resumes from, or None if it has none.

    Raises:
      WorkdirError: It belongs to another run, no checkpoint is intact, or files of an unknown run are there.
    """
    begun = run.read_config() is not None
    saved, damage = read_checkpoint(run.checkpoint)
    if damage:
        say(f"checkpoint: {damage}; resuming from the one before")
    if saved:
        saved.require(prepared.identity, path=run.checkpoint, begun=begun)
    elif not begun:
        run.require_no_run()
    return saved


def run_phases(
    prepared: PreparedRun,
    inputs: tuple[PhaseInputs, ...],
    run: RunDirectory,
    *,
    saved: Checkpoint | None,
    stopwatch: Stopwatch,
    out_of_fold: OutOfFold | None = None,
    refit_on: int = 0,
) -> Progress:
    """Trains all phases from the current state of the run; leaves the kept weights in the student.

    Args:
      prepared: The run.
      inputs: Inputs of each phase, as `open_inputs` returns them.
      run: Directory of the run, which has begun; it gets checkpoints, `metrics.jsonl` and `logs`.
      saved: Checkpoint to resume from; None to start from the beginning.
      stopwatch: Stopwatch of the run; each phase is a part.
      out_of_fold: Findings of the folds, if all labelled images are trained on; they choose the epoch.
      refit_on: Number of images on which training begins again afterwards, or 0; then the validation images, which are few,
        choose no epoch.

    Raises:
      TrainingError: The loss is not a finite number, or a frozen layer has changed.
      WorkdirError: The directory is not writable.
    """
    with writing(run.checkpoints):
        run.checkpoints.mkdir(exist_ok=True)
    models, student, phases = prepared.models, prepared.student, prepared.phases
    variables = models.trained_variables(student, [phase.plan for phase in phases])
    start = _start(prepared, variables, saved=saved, stopwatch=stopwatch)
    progress, kept, values = start.progress, start.kept, start.values
    for position in range(start.position, len(phases)):
        left = time_after(
            position,
            phases,
            inputs,
            images=len(prepared.images.trained),
            config=prepared.config,
            seconds=stopwatch.seconds(),
            importing=stopwatch.here("importing"),
            refit_on=refit_on,
        )
        runner = _PhaseRunner(
            prepared,
            phases[position],
            inputs[position],
            run,
            stopwatch,
            out_of_fold,
            time_left=left,
            sees_it_out=refit_on > 0,
        )
        if values is None:
            progress = progress.at_start_of(position)
        if not runner.is_over(progress):
            stopwatch.start(runner.phase.name)
        runner.run(progress, variables, kept, values=values)
        restore(run.checkpoint, variables, kept)
        progress.seconds = stopwatch.seconds()
        if position == 0 and len(phases) > 1 and prepared.shares_head:
            models.keep_head(student, prepared.head_recipe(), progress)
        values = None
    return progress


def _start(
    prepared: PreparedRun, variables: list[keras.Variable], *, saved: Checkpoint | None, stopwatch: Stopwatch
) -> _Start:
    """Decides where training begins: at the checkpoint, after a head that another run has trained, or at the first step."""
    if saved and saved.progress.history:
        say(f"resuming after epoch {len(saved.progress.history)}")
        stopwatch.add(saved.progress.seconds or {"preparing": saved.progress.preparing_seconds})
    if saved:
        return _Start(saved.progress, saved.progress.phase, saved.kept, saved.values)
    if prepared.shares_head and (shared := prepared.models.take_head(prepared.student, prepared.head_recipe())):
        head = prepared.phases[0].name
        say(f"head: as another run has trained it in {number_of(len(shared.history), 'epoch')}")
        stopwatch.add({head: shared.seconds.get(head, 0.0)})
        return _Start(shared, 1, values_of(variables))
    return _Start(Progress(), 0, values_of(variables))


def begin_phase(
    prepared: PreparedRun, phase: Phase, inputs: PhaseInputs, trainer: keras.Model, progress: Progress
) -> None:
    """Sets the schedule of a phase, after the measurements that precede it.

    Args:
      prepared: The run.
      phase: Part of the training that begins.
      inputs: Inputs of the phase.
      trainer: Model that trains it; call within `fitting` of the distributor.
      progress: Progress of the run, which gets the rate that is found.
    """
    training, distributor = prepared.config.training, prepared.distributor
    if phase is prepared.phases[0]:
        scale_head(prepared, phase, inputs)
    if training.find_learning_rate and not progress.learning_rate:
        first = inputs.training_batches(0, 1, shard=distributor.shard(training=True))
        progress.learning_rate = find_learning_rate(trainer, distributor.feed(first.repeat()))
        say(f"learning rate: {progress.learning_rate:.2g}, by a range test")
    if phase.recalibrate:
        recalibrate(trainer, phase.plan, prepared.student.backbone, inputs.training_batches(0, 1))
    if training.optimizer:
        return
    trainer.optimizer.begin(
        learning_rate=(progress.learning_rate or training.learning_rate) * phase.rate_factor,
        steps=steps_per_epoch(len(prepared.images.trained), training.global_batch_size) * phase.epochs,
        warmup_fraction=training.warmup_fraction,
    )


def train_unwatched(
    prepared: PreparedRun,
    phase: Phase,
    inputs: PhaseInputs,
    progress: Progress,
    *,
    first_epoch: int = 0,
    epochs: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a phase without validation: no epoch is chosen, and nothing is written.

    Args:
      prepared: The run; its student has the weights to begin with.
      phase: Part of the training.
      inputs: Inputs of the phase.
      progress: Progress of the run, which has the rate if one was measured.
      first_epoch: Number of epochs before the phase, after which the order and the views of the images go on.
      epochs: Number of epochs after which it ends, at that point of its schedule; 0 for all of the phase.
      callbacks: Keras's callbacks.
    """
    distributor, training = prepared.distributor, prepared.config.training
    trainer = _trainer(prepared, phase, inputs)
    last, shard = first_epoch + (epochs or phase.epochs), distributor.shard(training=True)
    batches = inputs.training_batches(first_epoch, last, shard=shard)
    with computing_in(prepared.hardware.precision, prepared.student.backbone), distributor.fitting(trainer):
        begin_phase(prepared, phase, inputs, trainer, progress)
        trainer.fit(
            distributor.feed(batches),
            steps_per_epoch=steps_per_epoch(len(prepared.images.trained), training.global_batch_size),
            initial_epoch=first_epoch,
            epochs=last,
            shuffle=False,  # the pipeline shuffles; Keras warns otherwise
            verbose=0,
            callbacks=list(callbacks),
        )


def _trainer(prepared: PreparedRun, phase: Phase, inputs: PhaseInputs) -> keras.Model:
    """Returns the compiled model that trains a phase."""
    return prepared.models.trainer(
        prepared.student,
        phase.plan,
        prepared.config.training,
        on_features=inputs.cached,
        loss=prepared.loss,
        task=prepared.learnt,
        distributor=prepared.distributor,
        rate_factor=phase.rate_factor,
        images=len(prepared.images.trained),
    )


def _scores(epochs: Iterable[EpochRecord]) -> list[EpochScore]:
    return [EpochScore(epoch.validation_score, epoch.validation_loss) for epoch in epochs]


class _PhaseRunner:
    """Trains one phase.

    Args:
      prepared: The run.
      phase: Part of the training.
      inputs: Inputs of the phase.
      run: Directory of the run.
      stopwatch: Stopwatch of the run.
      out_of_fold: Findings of the folds, or None.
      time_left: Time that the run takes after the phase.
      sees_it_out: Whether the last epoch is kept, since the validation images are too few to choose one.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        phase: Phase,
        inputs: PhaseInputs,
        run: RunDirectory,
        stopwatch: Stopwatch,
        out_of_fold: OutOfFold | None,
        *,
        time_left: TimeLeft,
        sees_it_out: bool,
    ):
        self.phase = phase
        self._time_left = time_left
        self._sees_it_out = sees_it_out
        self._prepared = prepared
        self._inputs = inputs
        self._run = run
        self._stopwatch = stopwatch
        self._out_of_fold = out_of_fold
        self._images = len(prepared.images.trained)
        self._training = prepared.config.training

    def is_over(self, progress: Progress) -> bool:
        """Returns whether the phase has no epoch left."""
        return progress.phase_over or progress.phase_epochs >= self.phase.epochs

    def run(
        self,
        progress: Progress,
        variables: list[keras.Variable],
        kept: list[np.ndarray],
        *,
        values: list[np.ndarray] | None,
    ) -> None:
        """Trains the rest of the phase.

        Args:
          progress: Progress of the run, in this phase; updated in place.
          variables: Variables of the student that the run may change.
          kept: Values of these variables at the kept epoch so far, updated in place.
          values: Values of the variables and the optimizer to resume from; None if the phase begins.
        """
        prepared = self._prepared
        trainer = _trainer(prepared, self.phase, self._inputs)
        with (
            computing_in(prepared.hardware.precision, prepared.student.backbone),
            prepared.distributor.fitting(trainer),
        ):
            if values is not None:
                restore(self._run.checkpoint, [*variables, *trainer.optimizer.variables], values)
            else:
                begin_phase(prepared, self.phase, self._inputs, trainer, progress)
            if not self.is_over(progress):
                self._fit(trainer, progress, variables, kept)

    def _fit(
        self, trainer: keras.Model, progress: Progress, variables: list[keras.Variable], kept: list[np.ndarray]
    ) -> None:
        prepared, batch_size = self._prepared, self._training.global_batch_size
        distributor, validation = prepared.distributor, self._validated()
        first_epoch = len(progress.history)
        last_epoch = first_epoch + self.phase.epochs - progress.phase_epochs
        record = self._record_epochs(trainer, progress, variables, kept)
        training = self._inputs.training_batches(first_epoch, last_epoch, shard=distributor.shard(training=True))
        trainer.stop_training = False
        with writing(self._run.path):
            try:
                trainer.fit(
                    distributor.feed(training),
                    steps_per_epoch=steps_per_epoch(self._images, batch_size),
                    initial_epoch=first_epoch,
                    epochs=last_epoch,
                    validation_data=distributor.feed(validation_batches(self._inputs, prepared, validation)),
                    validation_steps=steps_per_epoch(len(validation), batch_size),
                    shuffle=False,  # the pipeline shuffles; Keras warns otherwise
                    verbose=0,
                    callbacks=self._callbacks(record, progress, first_epoch=first_epoch, last_epoch=last_epoch),
                )
            except KeyboardInterrupt as stop:  # Ctrl-C or SIGTERM, in the middle of an epoch
                record.write()
                stop.args = ("the same command continues from the last epoch",) if progress.history else stop.args
                raise

    def _validated(self) -> np.ndarray:
        """Returns the images that Keras evaluates after each epoch, int64 (k,)."""
        validation = self._prepared.splits.validation
        # With folds the scores are those of the folds, and a batch is enough for Keras to report some.
        return validation[: self._training.global_batch_size] if self._out_of_fold else validation

    def _record_epochs(
        self, trainer: keras.Model, progress: Progress, variables: list[keras.Variable], kept: list[np.ndarray]
    ) -> RecordEpochs:
        folds, task = self._out_of_fold, self._prepared.task
        images = folds.validation_images if folds else len(self._prepared.splits.validation)
        selection = task.selection(images, _scores(progress.history))
        if self._sees_it_out:
            earlier = _scores(epoch for epoch in progress.history if epoch.phase != self.phase.name)
            selection = LastOfPhase(lambda: task.selection(images, earlier))
        return RecordEpochs(
            progress=progress,
            phase_name=self.phase.name,
            variables=variables,
            optimizer=trainer.optimizer,
            checkpoint=self._run.checkpoint,
            kept=kept,
            patience=self._training.early_stopping_patience,
            images_per_epoch=self._images,
            score_name=task.score_name,
            selection=selection,
            write_history=self._run.write_epochs,
            stopwatch=self._stopwatch,
            cached=self._inputs.cached,
            identity=self._prepared.identity,
        )

    def _callbacks(
        self, record: RecordEpochs, progress: Progress, *, first_epoch: int, last_epoch: int
    ) -> list[keras.callbacks.Callback]:
        phase, prepared = self.phase, self._prepared
        began = len(progress.history) - progress.phase_epochs
        return [
            *(
                [ScoresOfFolds(self._out_of_fold, phase.name, first_epoch=began, epochs=phase.epochs)]
                if self._out_of_fold
                else []
            ),
            StopOnNonFiniteLoss(phase.name),
            FreezeCheck(
                phase.name, prepared.student, phase.plan, proofs=progress.proofs, resumed=progress.phase_epochs > 0
            ),
            *prepared.own_parts.callbacks,  # before the record, which sees that one of them has stopped the phase
            record,  # before the line that says an epoch is over
            ProgressBar(
                phase.name,
                images_per_epoch=self._images,
                global_batch_size=self._training.global_batch_size,
                first_epoch=first_epoch,
                last_epoch=last_epoch,
                cached=self._inputs.cached,
                score_name=self._prepared.task.score_name,
                noun=self._prepared.source.noun,
                time_left=self._time_left,
            ),
            *([keras.callbacks.SwapEMAWeights()] if self._training.ema_momentum else []),
            EpochScalars(self._run.logs),
        ]
