"""Defines the options of the training."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses
from typing import Any

from tl_keras.config.choices import ClassWeights, LossName, Refit, Sampling
from tl_keras.config.defaults import (
    CAUTIOUS_FINE_TUNE_FACTOR,
    DEFAULT_FINE_TUNE_FACTOR,
    DEFAULT_LEARNING_RATES,
    FEWEST_STEPS,
    NUMBERS_FINE_TUNE_FACTOR,
    NUMBERS_LEARNING_RATE,
)
from tl_keras.config.options import ABOVE_0_BELOW_1, Interval, at_least, option
from tl_keras.config.parsing import parse_optimizer
from tl_keras.locked import Locked

_ABOVE_0_TO_1 = Interval(0, 1, open_low=True)


@dataclasses.dataclass
class TrainingConfig(Locked):
    """Training of the student.

    Example:
      ```python
      import tl_keras

      training = tl_keras.TrainingConfig(epochs=10, learning_rate=3e-3)
      ```
    """

    epochs: int = option(
        0,
        "Passes over the training images in the last phase; fine_tune's head_epochs come before them.",
        flag="epochs",
        zero="by the number of images",
        within=at_least(1),
    )
    head_epochs: int = option(
        0,
        "Passes over the training images in fine_tune's first phase, the head alone; they come on top of epochs.",
        flag="head_epochs",
        zero=f"as many as make {FEWEST_STEPS['head']} steps, at least 10",
        within=at_least(1),
    )
    global_batch_size: int = option(32, "Images per step, over all replicas.", flag="batch_size", within=at_least(1))
    # It comes before `learning_rate`, which may set it.
    find_learning_rate: bool = option(
        False, "Whether the peak rate is measured before the first phase, by a range test; learning_rate=auto sets it."
    )
    learning_rate: float = option(
        0.0,
        "Peak rate of the random weights (the head; the network in replicate), or auto: measured before the first phase.",
        flag="learning_rate",
        zero=", ".join(f"{rate:g} in {method}" for method, rate in DEFAULT_LEARNING_RATES.items())
        + f"; {NUMBERS_LEARNING_RATE:g} for heads that learn numbers",
        within=Interval(0, 10, open_low=True, open_high=True),
    )
    optimizer: str = option(
        "",
        "An optimizer of Keras as JSON, at its own rate; without warm-up, decays and average of the options.",
        zero="AdamW by the options",
        parse=parse_optimizer,
    )
    fine_tune_learning_rate_factor: float = option(
        0.0,
        "The rate of fine_tune's second phase, as a part of the peak rate.",
        zero=f"{DEFAULT_FINE_TUNE_FACTOR:g}; {CAUTIOUS_FINE_TUNE_FACTOR:g} for texts without LoRA, "
        f"{NUMBERS_FINE_TUNE_FACTOR:g} for numbers",
        within=Interval(0, 0.1, open_low=True),
    )
    layer_decay: float = option(1.0, "Factor on the rate for each block further from the head.", within=_ABOVE_0_TO_1)
    warmup_fraction: float = option(
        0.1,
        "The part of a phase's steps in which the rate rises from 0 to its peak; then it falls to 0 as a cosine.",
        zero="no warm-up",
        within=ABOVE_0_BELOW_1,
    )
    weight_decay: float = option(
        1e-4,
        "AdamW's decoupled weight decay; not of biases and normalisation.",
        zero="off",
        within=ABOVE_0_BELOW_1,
    )
    teacher_decay: float = option(
        0.0,
        "Decay of pre-trained weights towards the teacher's values (L2-SP).",
        zero="off",
        within=ABOVE_0_BELOW_1,
    )
    ema_momentum: float = option(
        0.0,
        "Momentum of a moving average of the weights, which is evaluated and kept; 0.99 is customary.",
        zero="off",
        within=ABOVE_0_BELOW_1,
    )
    label_smoothing: float = option(0.0, "Label smoothing.", zero="off", within=ABOVE_0_BELOW_1)
    class_weights: ClassWeights = option(
        "none",
        "Weights of the classes in the loss: balanced is inverse frequency, with mean 1 over the training images.",
    )
    sampling: Sampling = option(
        "none",
        "Whether each epoch draws the training images, as many as there are, such that all classes come equally often (balanced); "
        "of several labels, an image by its rarest.",
    )
    loss: LossName = option(
        "",
        "The loss: focal counts what is answered rightly little, asymmetric (multi_label) does so for labels that are lacking, "
        "logit_adjustment (single_label) learns classes as if they were equally frequent, squared (regression) weighs large errors "
        "more.",
        zero="the task's own: cross_entropy, huber for numbers, the likelihood of grades",
    )
    refit: Refit = option(
        "",
        "Whether training begins again on all labelled images, validation images too, which then choose no epoch: auto does so "
        "where there are test images, and fewer than 78 for validation.",
        flag="refit",
        zero="auto where the epochs are left open too; off otherwise, in replicate and in comparisons",
    )
    early_stopping_patience: int = option(
        0,
        "Epochs without a better validation score after which a phase ends.",
        zero="never, the cosine is seen out",
        within=at_least(1),
    )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate" and isinstance(value, str) and value == "auto":
            self.find_learning_rate, value = True, 0.0
        super().__setattr__(name, value)
