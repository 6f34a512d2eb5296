"""Measures the learning rate by a range test on the first phase."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from tl_keras.distribution.distributor import settle
from tl_keras.errors import TrainingError
from tl_keras.training.checkpoints import values_of

# Rates from one at which nothing is learnt to one at which training breaks.
_LOWEST, _HIGHEST = 1e-5, 1.0

# Number of steps of the test: three per doubling of the rate.
_STEPS = 50

# The best rate lies about one power of ten below the one with the lowest loss (Smith 2018, section 4.1).
_BELOW_LOWEST_LOSS = 10


def find_learning_rate(trainer: keras.Model, batches: Any) -> float:
    """Raises the rate from step to step, and returns a tenth of the rate with the lowest smoothed loss.

    Args:
      trainer: Model compiled with a `TransferAdam`. Its weights and state are the same afterwards.
      batches: Input of `fit` with at least 50 batches, an epoch or a repetition of one.

    Returns:
      A peak rate for the schedule, from 1e-6 to 0.1.

    Raises:
      TrainingError: The loss is not finite before any weight has changed.
    """
    variables = [*trainer.variables, *trainer.optimizer.variables]
    before = values_of(variables)
    rates = np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    test = _RangeTest(rates)
    trainer.optimizer.begin(learning_rate=_LOWEST, steps=math.inf, warmup_fraction=0)
    trainer.fit(batches, steps_per_epoch=_STEPS, shuffle=False, verbose=0, callbacks=[test])
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    if not test.losses:
        raise TrainingError(
            "loss: expected a finite number at the first step of the range test. Received: another, before any weight has changed. "
            "The teacher's weights or its preprocessing do not fit: use another --backbone or --weights."
        )
    losses = np.convolve(np.pad(test.losses, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    return float(rates[int(np.argmin(losses))] / _BELOW_LOWEST_LOSS)


class _RangeTest(keras.callbacks.Callback):
    def __init__(self, rates: np.ndarray):
        super().__init__()
        self.losses: list[float] = []
        self._rates = rates
        self._total = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        settle(self.model)
        self.model.optimizer.learning_rate = self._rates[batch]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Keras reports the mean since the start of the epoch.
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - self._total)
        self._total = total
        if not math.isfinite(self.losses[-1]):
            self.losses.pop()
            self.model.stop_training = True
