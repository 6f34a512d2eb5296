"""Runs while Keras fits: a progress bar, a guard against a loss that is not a number, and the record of epochs."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.console import details_are_shown, in_words, progress_stream
from tl_keras.data.progress_bar import is_watched, progress_bar
from tl_keras.errors import TrainingError
from tl_keras.evaluation.selection import EpochScore, EpochSelection
from tl_keras.runs.records import EpochRecord, Progress
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.training.checkpoints import copier_of, save_checkpoint
from tl_keras.training.time_left import TimeLeft

# Number of lines that a phase leaves in a log file.
_LINES_A_PHASE = 5

# Seconds between two checkpoints, because an epoch over cached features takes less time than a checkpoint. A run killed in between
# repeats the epochs since the last one, with the same weights.
_SECONDS_BETWEEN_CHECKPOINTS = 2.0


class ProgressBar(keras.callbacks.Callback):
    """Shows how one phase goes on, on stderr: one live line where somebody is watching, else a line every few epochs.

    The last epoch of a phase always leaves its line. With `--verbose` each epoch does.

    Args:
      description: Text before the bar.
      images_per_epoch: Number of training images.
      global_batch_size: Number of images per step; the last step of an epoch has the rest.
      first_epoch: First epoch of the run that this fit trains.
      last_epoch: Epoch after the last one.
      cached: Whether an epoch reads cached features of frozen layers and no images.
      score_name: Name of the task's score, which is that of the metric.
      noun: Word for one input, see `Source.noun`.
      time_left: Time that the run takes after the phase.
    """

    def __init__(
        self,
        description: str,
        *,
        images_per_epoch: int,
        global_batch_size: int,
        first_epoch: int,
        last_epoch: int,
        cached: bool = False,
        score_name: str,
        noun: str = "image",
        time_left: TimeLeft,
    ):
        super().__init__()
        self._time_left = time_left
        self._images_per_epoch = images_per_epoch
        self._global_batch_size = global_batch_size
        self._last_epoch = last_epoch
        self._bar = progress_bar(description, images=images_per_epoch * (last_epoch - first_epoch))
        self._began = time.perf_counter()
        self._first_epoch = first_epoch
        self._score_name = score_name
        self._unwritten = ""
        self._what = f"cached {noun}s" if cached else f"{noun}s"

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch * self._global_batch_size
        self._bar.update(min(self._global_batch_size, self._images_per_epoch - done))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds_an_epoch = (time.perf_counter() - self._began) / (epoch + 1 - self._first_epoch)
        left = seconds_an_epoch * (self._last_epoch - epoch - 1)
        line = self._line(epoch, logs, left=left, seconds_an_epoch=seconds_an_epoch)
        every = max(1, -(-(self._last_epoch - self._first_epoch) // _LINES_A_PHASE))
        in_turn = (epoch + 1 - self._first_epoch) % every == 0 and not is_watched()
        if epoch + 1 == self._last_epoch or in_turn or details_are_shown():
            self._bar.write(f"  {line}", file=progress_stream())
            self._unwritten = ""
        else:
            self._bar.set_postfix_str(line)
            self._unwritten = line

    def on_train_end(self, logs: Any = None) -> None:
        if self._unwritten:  # the phase has ended early
            self._bar.write(f"  {self._unwritten}", file=progress_stream())
        self._bar.close()

    def _line(self, epoch: int, logs: Any, *, left: float, seconds_an_epoch: float) -> str:
        score = self._score_name
        whole = seconds_an_epoch * (self._last_epoch - self._first_epoch)
        ahead = f", {self._time_left.in_words(left, whole=whole)}" if epoch + 1 < self._last_epoch else ""
        measured = ""
        if "val_loss" in logs:  # none is held back in training on all labelled images
            measured = f"validation loss {logs['val_loss']:.4f}  {in_words(score)} {logs[f'val_{score}']:.4f}  "
        return (
            f"epoch {epoch + 1}/{self._last_epoch}  loss {logs['loss']:.4f}  {in_words(score)} {logs[score]:.4f}  "
            f"{measured}{self._images_per_epoch / seconds_an_epoch:.0f} {self._what}/s{ahead}"
        )


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stops the run with a TrainingError that names the step at which the loss stopped being a number."""

    def __init__(self, phase_name: str):
        super().__init__()
        self._phase_name = phase_name
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"loss: expected a finite number. Received: {logs['loss']} at step {batch + 1} of epoch {self._epoch + 1} "
                f"(phase {self._phase_name}). Use a smaller --learning_rate."
            )


class RecordEpochs(keras.callbacks.Callback):
    """Decides after each epoch whether to keep its weights, writes the checkpoint, and may end the phase.

    The run keeps the last epoch that validation cannot tell from the best so far; see `tl_keras.evaluation.selection`.

    Args:
      progress: Progress of the run, updated in place.
      phase_name: Name of the phase in the history.
      variables: Variables of the student that the run may change; the checkpoint holds them and `kept`.
      optimizer: Optimizer of the phase.
      checkpoint: File to resume from.
      kept: Values of `variables` at the kept epoch, updated in place.
      patience: Number of epochs without a better score after which the phase ends; 0 for never.
      images_per_epoch: Number of training images.
      score_name: Name of the task's score, which is that of the metric.
      selection: Rule by which the epoch to keep is chosen; it knows the scores of earlier epochs.
      write_history: Function that is called with the history after each epoch.
      stopwatch: Stopwatch of the run.
      cached: Whether an epoch reads cached features of frozen layers and no images.
      identity: Identity of the run that the checkpoint belongs to.
    """

    def __init__(
        self,
        *,
        progress: Progress,
        phase_name: str,
        variables: Sequence[keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        checkpoint: pathlib.Path,
        kept: list[np.ndarray],
        patience: int,
        images_per_epoch: int,
        score_name: str,
        selection: EpochSelection,
        write_history: Callable[[list[EpochRecord]], None],
        stopwatch: Stopwatch,
        cached: bool,
        identity: dict[str, Any],
    ):
        super().__init__()
        self._progress = progress
        self._phase_name = phase_name
        self._copies_of_student = copier_of(variables)
        self._optimizer = optimizer
        self._checkpoint = checkpoint
        self._kept = kept
        self._patience = patience
        self._images_per_epoch = images_per_epoch
        self._score_name = score_name
        self._selection = selection
        self._write_history = write_history
        self._stopwatch = stopwatch
        self._cached = cached
        self._identity = identity
        self._began = self._trained = 0.0
        self._written = time.perf_counter()
        self._unwritten: dict[str, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        self._trained = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        # Not at the end of the epoch: if an average of the weights is evaluated, the model holds it now.
        progress, epoch = self._progress, EpochScore(float(logs[self._score_name]), float(logs["loss"]))
        score = epoch.score, -epoch.loss
        if progress.phase_best_score is None or score > progress.phase_best_score:
            progress.phase_best_score, progress.epochs_since_best = score, 0
        else:
            progress.epochs_since_best += 1
        if self._selection.keeps(epoch):
            progress.kept_phase, progress.kept_epoch = self._phase_name, len(progress.history) + 1
            self._kept[:] = self._copies_of_student()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        progress = self._progress
        progress.history.append(self._epoch_record(epoch, logs))
        progress.phase_epochs += 1
        if self._patience and progress.epochs_since_best >= self._patience:
            progress.phase_over = True
            self.model.stop_training = True
        if self.model.stop_training or epoch + 1 == self.params["epochs"]:
            return  # if a checkpoint has the last epoch of a phase, the phase has ended and the checkpoint has its proof
        self._take()
        if time.perf_counter() - self._written >= _SECONDS_BETWEEN_CHECKPOINTS:
            self.write()

    def on_train_end(self, logs: Any = None) -> None:
        self._progress.phase_over |= self.model.stop_training  # by a callback of the program
        self._take()
        self.write()

    def write(self) -> None:
        """Writes the checkpoint of the last finished epoch, unless it is written already."""
        if self._unwritten:
            save_checkpoint(self._checkpoint, **self._unwritten)
            self._write_history(self._unwritten["progress"].history)
            self._unwritten, self._written = {}, time.perf_counter()

    @functools.cached_property
    def _copies_of_optimizer(self) -> Callable[[], list[np.ndarray]]:
        return copier_of(self._optimizer.variables)  # which Keras makes after this callback

    def _take(self) -> None:
        """Copies the content of the checkpoint, because the next epoch changes it."""
        values = [*self._copies_of_student(), *self._copies_of_optimizer()]
        self._progress.seconds = self._stopwatch.seconds()
        done = self._progress
        progress = dataclasses.replace(done, history=list(done.history), proofs=list(done.proofs))  # whose items stay
        self._unwritten = {"values": values, "kept": list(self._kept), "progress": progress, "identity": self._identity}

    def _epoch_record(self, epoch: int, logs: dict[str, Any]) -> EpochRecord:
        seconds = time.perf_counter() - self._began
        speed = round(self._images_per_epoch / (self._trained - self._began), 1)
        return EpochRecord(
            epoch=epoch + 1,
            phase=self._phase_name,
            loss=float(logs["loss"]),
            score=float(logs[self._score_name]),
            validation_loss=float(logs["val_loss"]),
            validation_score=float(logs[f"val_{self._score_name}"]),
            seconds=round(seconds, 3),
            elapsed_seconds=round(self._stopwatch.total, 3),
            images_per_second=None if self._cached else speed,
            cached_images_per_second=speed if self._cached else None,
            score_name=self._score_name,
        )


class EpochScalars(keras.callbacks.TensorBoard):
    """Writes TensorBoard's scalars of each epoch.

    Args:
      logs: Directory that they are written to.
    """

    def __init__(self, logs: pathlib.Path):
        super().__init__(logs, write_graph=False)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Replaces Keras's own, which makes unused summaries of every step, as slow as a step over cached features."""
