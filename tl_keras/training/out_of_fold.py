"""Holds what the folds of a run found, from which the final model, trained on all labelled images, gets its figures and length."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tl_keras.data.splits import Splits
from tl_keras.runs.records import EpochRecord
from tl_keras.training.preparation import RunImages


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """Predictions of every labelled image by a model that has not seen it, and how the folds trained.

    Attributes:
      images: Images of the final run; its train split, and its validation split too, are all labelled images.
      fold: int64 (n,), fold of each labelled image, in ascending order of the images.
      logits: float32 (n, outputs), by the model of the fold that holds the image out.
      histories: Epochs of each fold.
      planned: For each fold the epochs of each phase by its schedule, of which fewer are done where it stopped early.
      validation_images: Number of images by which the folds chose their epochs, all folds together.
      scores: Score of each fold on the images that it holds out.
      score: Score over all labelled images.
      interval: 95% interval of that score.
      score_name: Name of the task's score.
    """

    images: RunImages
    fold: np.ndarray
    logits: np.ndarray
    histories: tuple[tuple[EpochRecord, ...], ...]
    planned: tuple[Mapping[str, int], ...]
    validation_images: int
    scores: tuple[float, ...]
    score: float
    interval: tuple[float, float]
    score_name: str

    @property
    def labelled(self) -> np.ndarray:
        """Returns the labelled images, int64 (n,), ascending."""
        return self.images.splits.train

    def logits_of(self, indices: np.ndarray) -> np.ndarray:
        """Returns the out-of-fold logits of some labelled images, float32 (k, outputs), in their order."""
        return self.logits[np.searchsorted(self.labelled, indices)]

    def halves(self) -> Splits:
        """Returns splits of the labelled images into halves, for what needs images that are not those of the other half."""
        mixed = np.random.default_rng(self.images.splits.seed).permutation(self.labelled)
        half = len(mixed) // 2
        return dataclasses.replace(self.images.splits, train=np.sort(mixed[half:]), validation=np.sort(mixed[:half]))

    def score_at(self, phase: str, share: float) -> tuple[float, float]:
        """Returns the folds' mean validation score and loss after a share of a phase, which is how far its schedule is.

        A fold that stopped before has those of its last epoch.

        Args:
          phase: Name of the phase.
          share: Part of the phase that is over, above 0 and up to 1.
        """
        scores = []
        for history, planned in zip(self.histories, self.planned, strict=True):
            epochs = [epoch for epoch in history if epoch.phase == phase]
            at = np.arange(1, len(epochs) + 1) / planned[phase]
            columns = ([e.validation_score for e in epochs], [e.validation_loss for e in epochs])
            scores.append([float(np.interp(share, at, column)) for column in columns])
        score, loss = np.mean(scores, axis=0)
        return float(score), float(loss)

    def to_json(self) -> dict[str, Any]:
        """Returns the entry `folds` of `result.json`."""
        return {
            "number": len(self.scores),
            self.score_name: self.score,
            "interval": list(self.interval),
            "by_fold": list(self.scores),
            "images": len(self.labelled),
        }


class ScoresOfFolds(keras.callbacks.Callback):
    """Gives an epoch the folds' mean validation scores: no image is left that the final model does not train on.

    Args:
      out_of_fold: Findings of the folds.
      phase: Name of the phase.
      first_epoch: Epoch of the run at which the phase began, from 0.
      epochs: Epochs of the phase.
    """

    def __init__(self, out_of_fold: OutOfFold, phase: str, *, first_epoch: int, epochs: int):
        super().__init__()
        self._out_of_fold = out_of_fold
        self._phase = phase
        self._first_epoch = first_epoch
        self._epochs = epochs
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers the epoch of the run."""
        self._epoch = epoch

    def on_test_end(self, logs: Any = None) -> None:
        """Replaces the scores by which the epoch is chosen, before the callbacks that follow read them."""
        logs[self._out_of_fold.score_name], logs["loss"] = self._scores()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Replaces the scores that are shown and recorded, before the callbacks that follow read them."""
        logs[f"val_{self._out_of_fold.score_name}"], logs["val_loss"] = self._scores()

    def _scores(self) -> tuple[float, float]:
        share = (self._epoch + 1 - self._first_epoch) / self._epochs
        return self._out_of_fold.score_at(self._phase, share)
