"""Optimizer and learning-rate schedule of one phase."""

from __future__ import annotations

import keras


def make_optimizer(
    *, learning_rate: float, steps: int, warmup_fraction: float, weight_decay: float
) -> keras.optimizers.Optimizer:
    """Returns AdamW with a linear warm-up to the peak rate and a cosine down to 0.

    Args:
      learning_rate: Peak, a step.
      steps: Of the whole phase.
      warmup_fraction: Part of the steps that warms up, 0 to below 1.
      weight_decay: Decoupled (Loshchilov and Hutter 2019), not on biases and normalisation.
    """
    warmup_steps = int(warmup_fraction * steps)
    decay_steps = max(1, steps - warmup_steps)
    if warmup_steps:
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=learning_rate / warmup_steps,
            decay_steps=decay_steps,
            warmup_target=learning_rate,
            warmup_steps=warmup_steps,
        )
    else:
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
