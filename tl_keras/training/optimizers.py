"""Defines the optimizer: AdamW whose rate differs by layer, and whose decay may pull towards the teacher; or one of Keras."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.backbones.keras_file import require_parts_of_compiling
from tl_keras.config import parse_optimizer
from tl_keras.console import first_line
from tl_keras.errors import ConfigError
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


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule at a part of its rate, for the phases that train pre-trained layers.

    Args:
      schedule: Schedule of the rate.
      factor: Factor on it.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float):
        self._schedule = schedule
        self._factor = factor

    def __call__(self, step: Any) -> Any:
        """Returns the rate at a step, a float32 scalar."""
        return self._factor * self._schedule(step)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, as Keras asks for them."""
        return {"schedule": self._schedule, "factor": self._factor}


def optimizer_to_json(optimizer: Any) -> str:
    """Returns an optimizer of Keras without its state as the text of `training.optimizer`.

    Args:
      optimizer: An optimizer, or a name that `keras.optimizers.get` knows.

    Raises:
      ConfigError: It is neither, or a class that Keras does not make from its config alone.
    """
    try:
        described = keras.saving.serialize_keras_object(keras.optimizers.get(optimizer))
        text = json.dumps({name: described[name] for name in ("module", "class_name", "config")}, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"optimizer: expected an optimizer of Keras, or its name. Received: {optimizer!r:.80}. Use "
            "keras.optimizers.SGD(0.01, momentum=0.9)."
        ) from error
    named_optimizer(text, rate_factor=1.0)
    return text


def named_optimizer(text: str, *, rate_factor: float) -> keras.optimizers.Optimizer | None:
    """Returns a new optimizer from the text of `training.optimizer`, or None if that is empty.

    Args:
      text: JSON of the optimizer.
      rate_factor: Factor on its rate.

    Raises:
      ConfigError: The class is not Keras's own, or its config does not fit.
    """
    if not text:
        return None
    described = parse_optimizer(text)
    try:
        require_parts_of_compiling(described)
        optimizer = keras.optimizers.deserialize(described)
    except Exception as error:  # Keras raises its own types
        raise ConfigError(
            "optimizer: expected one of Keras's own, which config.json can name. Received: "
            f"{first_line(error)}. Train a model of tl_keras.build with yours."
        ) from error
    config = optimizer.get_config()
    rate = config["learning_rate"]
    is_schedule = isinstance(rate, dict)
    config["learning_rate"] = (
        ScaledSchedule(keras.optimizers.schedules.deserialize(rate), rate_factor) if is_schedule else rate * rate_factor
    )
    return type(optimizer).from_config(config)
