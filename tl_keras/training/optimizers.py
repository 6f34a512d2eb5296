"""Defines the optimizer: AdamW whose rate differs by layer, and whose decay may pull towards the teacher."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.keras_internals import variable_position


@dataclasses.dataclass(frozen=True)
class VariableTreatment:
    """How one variable is trained.

    Attributes:
      rate_factor: Factor on the learning rate.
      decay: Decoupled decay per step and unit of learning rate; 0 for none.
      decay_towards: Value that the decay pulls to, of the variable's shape; None for 0.
    """

    rate_factor: float = 1.0
    decay: float = 0.0
    decay_towards: np.ndarray | None = None


class TransferAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) with decoupled decay (Loshchilov and Hutter 2019), a linear warm-up and a cosine down to 0.

    Peak and length are variables, so that one traced training step serves phases of every rate and length. The moments
    have Adam's usual 0.9 and 0.999.

    Args:
      treatments: Treatments, one for each variable that it is built on, in their order.
      ema_momentum: Momentum of the moving average of the variables, 0 for none.
    """

    def __init__(self, treatments: Sequence[VariableTreatment], *, ema_momentum: float = 0.0):
        # Keras refuses a momentum of 0 even if no average is kept.
        super().__init__(use_ema=ema_momentum > 0, ema_momentum=ema_momentum or 0.99)
        self._treatments = tuple(treatments)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the state of the optimizer; see `keras.optimizers.Optimizer.build`."""
        super().build(variables)
        self._steps = self.add_variable((), name="steps")
        self._warmup_steps = self.add_variable((), name="warmup_steps")
        self._targets = [
            None
            if treatment.decay_towards is None
            else keras.Variable(treatment.decay_towards, dtype=variable.dtype, trainable=False)
            for treatment, variable in zip(self._treatments, variables, strict=True)
        ]

    def begin(self, *, learning_rate: float, steps: float, warmup_fraction: float) -> None:
        """Forgets all earlier steps and sets the schedule.

        Args:
          learning_rate: Peak rate.
          steps: Number of steps; infinite for a rate that stays at its peak.
          warmup_fraction: Part of the steps in which the rate rises to the peak, 0 to below 1.
        """
        targets = {id(target) for target in self._targets}
        for variable in self.variables:
            if id(variable) not in targets:
                variable.assign(keras.ops.zeros_like(variable.value))
        self.learning_rate = learning_rate
        self._steps.assign(steps)
        self._warmup_steps.assign(math.floor(warmup_fraction * steps) if math.isfinite(steps) else 0)

    def schedule(self) -> Any:
        """Returns the factor on the peak rate, 0 to 1, for the next step; float32 scalar tensor."""
        done = keras.ops.cast(self.iterations, "float32")
        warmup, steps = self._warmup_steps.value, self._steps.value
        part_left = (done - warmup) / keras.ops.maximum(steps - warmup, 1.0)
        cosine = 0.5 * (1 + keras.ops.cos(math.pi * keras.ops.minimum(part_left, 1.0)))
        return keras.ops.where(done < warmup, (done + 1) / keras.ops.maximum(warmup, 1.0), cosine)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Takes one step; see `keras.optimizers.Optimizer.update_step`."""
        position = variable_position(self, variable)
        treatment, target = self._treatments[position], self._targets[position]
        rate = keras.ops.cast(learning_rate * self.schedule() * treatment.rate_factor, variable.dtype)
        if treatment.decay:
            pull = variable if target is None else variable - target
            self.assign_sub(variable, pull * (rate * treatment.decay))
        super().update_step(gradient, variable, rate)
