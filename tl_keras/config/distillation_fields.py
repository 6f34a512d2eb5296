"""Defines the options of learning from a finished run."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses

from tl_keras.config.choices import Mixtures
from tl_keras.config.options import Interval, option
from tl_keras.locked import Locked


@dataclasses.dataclass
class DistillationConfig(Locked):
    """Learning from the answers of a finished run beside the labels (Hinton et al. 2015); `tl_keras.distill` sets it.

    Example:
      ```python
      import tl_keras

      config = tl_keras.TransferConfig()
      config.distillation.teacher_run, config.distillation.unlabelled = "big/", "more_photos/"
      ```
    """

    teacher_run: str = option(
        "",
        "The directory of a finished run on the same classes, whose answers the student learns.",
        zero="labels alone",
    )
    unlabelled: str = option(
        "", "A folder of images without labels, for which the answers of the teacher run are learnt.", zero="none"
    )
    mixtures: Mixtures = option(
        "on",
        "Whether the answers of the teacher run are learnt for mixtures of two training images too: for classes, four for each "
        "image and with them up to 2,000, where no images without labels are named.",
    )
    temperature: float = option(
        4.0, "Temperature that softens the answers of both.", within=Interval(0, 100, open_low=True)
    )
    weight: float = option(
        0.9,
        "The part of the loss that is the teacher run's; the rest is that of the labels.",
        within=Interval(0, 1, True),
    )
