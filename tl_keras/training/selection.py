"""Which epoch's weights a run keeps, decided from the validation accuracy and loss of its epochs.

Kept is the last epoch that validation cannot tell from the best so far: it lies furthest down the cosine, and the best of
tens of epochs on few images is a lucky one. Accuracy decides first, and the loss where accuracy cannot tell:

- Accuracies differ where one lies outside the 95% interval of the other, by Wilson's score interval, which is not empty where every
  answer is right (Wilson 1927; Brown, Cai and DasGupta 2001).
- An epoch that answers no more images rightly than the best is clearly worse where the log-likelihood of all validation images
  together is lower by more than two standard errors. The mistakes carry the loss, so that its standard error is a part
  1 / sqrt(mistakes + 1) of it, as of a count; and one nat is added to the variance. Where no image is in doubt, that leaves
  the two units of Edwards 1972, "Likelihood", beyond which he calls a hypothesis not supported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from tl_keras.evaluation.metrics import accuracy_interval


@dataclasses.dataclass(frozen=True)
class EpochScore:
    """How an epoch's weights did on the validation images.

    Attributes:
      accuracy: From 0 to 1.
      loss: Mean over the images, in nats, 0 or more.
    """

    accuracy: float
    loss: float


class EpochSelection:
    """Decides after each epoch whether its weights take the place of those that are kept.

    An epoch is held against the best before it, and what was decided stands: a run needs to hold no other weights.

    Args:
      images: Number of validation images, at least 1.
      scores: Scores of the epochs before, in their order, where a run goes on.
    """

    def __init__(self, images: int, scores: Iterable[EpochScore] = ()):
        self._images = images
        self._best: EpochScore | None = None
        for score in scores:
            self.keeps(score)

    def keeps(self, score: EpochScore) -> bool:
        """Takes the score of the next epoch; returns whether its weights are kept."""
        best = self._best
        order = 1 if best is None else compare(score, best, images=self._images)
        if best is None or order > 0 or (order == 0 and (-score.loss, score.accuracy) > (-best.loss, best.accuracy)):
            self._best = score
        return order >= 0


def compare(score: EpochScore, best: EpochScore, *, images: int) -> int:
    """Returns 1 where a score is clearly better than the best so far, -1 where it is clearly worse, 0 where nobody can tell.

    Args:
      score: Score of a later epoch.
      best: Score that it is held against.
      images: Number of validation images, at least 1.
    """
    if not math.isfinite(score.loss):
        return -1
    low, high = accuracy_interval(best.accuracy, images)
    if not low <= score.accuracy <= high:
        return 1 if score.accuracy > high else -1
    log_likelihood, mistakes = best.loss * images, (1 - best.accuracy) * images
    difference = (best.loss - score.loss) * images
    if abs(difference) <= 2 * math.sqrt(log_likelihood**2 / (mistakes + 1) + 1):
        return 0
    if difference < 0 and score.accuracy > best.accuracy:  # too sure, which calibration mends, but not wrong
        return 0
    return 1 if difference > 0 else -1
