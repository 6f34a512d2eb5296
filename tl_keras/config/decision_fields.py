"""Defines the options of how probabilities of classes become an answer."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses

from tl_keras.config.options import ABOVE_0_BELOW_1, option
from tl_keras.locked import Locked


@dataclasses.dataclass
class DecisionConfig(Locked):
    """The decision by the probabilities of one class per image; left out, the most probable class is the answer.

    Example:
      ```python
      import tl_keras

      config = tl_keras.TransferConfig()
      config.decision.positive, config.decision.min_recall = "defect", 0.95
      ```
    """

    positive: str = option(
        "",
        "The class that is answered from a threshold on, chosen on validation or out of fold: the largest F1, or what "
        "--min_precision or --min_recall asks for.",
        flag="positive",
        zero="the most probable class",
    )
    min_precision: float = option(
        0.0,
        "With --positive: part of its answers that are to be right; as many images as possible are found.",
        flag="min_precision",
        zero="not asked for",
        within=ABOVE_0_BELOW_1,
    )
    min_recall: float = option(
        0.0,
        "With --positive: part of its images that are to be found; as few others as possible are taken for it.",
        flag="min_recall",
        zero="not asked for",
        within=ABOVE_0_BELOW_1,
    )
    costs: str = option(
        "",
        "A CSV file of what confusions cost, a row for each right class and a column for each answer; the answer is the one "
        "that costs least.",
        flag="costs",
        zero="all confusions cost the same",
    )
    refuse_below: float = option(
        0.0,
        "Probability of the answer below which none is given.",
        flag="refuse_below",
        zero="never",
        within=ABOVE_0_BELOW_1,
    )
    min_accuracy: float = option(
        0.0,
        "Accuracy that answers are to have: below a probability that is chosen on validation or out of fold none is given.",
        flag="min_accuracy",
        zero="not asked for",
        within=ABOVE_0_BELOW_1,
    )

    @property
    def given(self) -> bool:
        """Returns whether any option is set."""
        return dataclasses.astuple(self) != dataclasses.astuple(DecisionConfig())
