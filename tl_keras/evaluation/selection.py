"""Decides which epoch's weights a run keeps, from the validation accuracy and loss of its epochs.

The run keeps the last epoch that validation cannot tell from the best so far: it is furthest down the cosine, whereas the best of
tens of epochs on few images is a lucky one. Accuracy decides first, and the loss if accuracy cannot tell:

- Accuracies differ if one lies outside the 95% interval of the other, by Wilson's score interval, which is not empty even if every
  answer is right (Wilson 1927; Brown, Cai and DasGupta 2001).
- An epoch with no more right answers than the best is clearly worse if the log-likelihood of all validation images together is
  lower by more than two standard errors. Since the mistakes dominate the loss, its standard error is 1 / sqrt(mistakes + 1) of it,
  as for a count; and one nat is added to the variance. If no image is in doubt, that leaves the two units of Edwards 1972,
  "Likelihood", beyond which he calls a hypothesis not supported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

from tl_keras.evaluation.metrics import accuracy_interval


@dataclasses.dataclass(frozen=True)
class EpochScore:
    """The results of an epoch's weights on the validation images.

    Attributes:
      score: Score of the task; the rule of this module takes it for an accuracy, 0 to 1.
      loss: Mean over the images, in nats, 0 or more.
    """

    score: float
    loss: float


class EpochSelection:
    """Decides after each epoch whether its weights replace the kept ones.

    An epoch is compared with the best before it, and decisions are final, so a run needs to hold no other weights.

    Args:
      images: Number of validation images, at least 1.
      scores: Scores of the earlier epochs in order, if a run is resumed.
    """

    def __init__(self, images: int, scores: Iterable[EpochScore] = ()):
        self._images = images
        self._best: EpochScore | None = None
        for score in scores:
            self.keeps(score)

    def keeps(self, score: EpochScore) -> bool:
        """Adds the score of the next epoch, and returns whether its weights are kept."""
        best = self._best
        order = 1 if best is None else compare(score, best, images=self._images)
        if best is None or order > 0 or (order == 0 and (-score.loss, score.score) > (-best.loss, best.score)):
            self._best = score
        return order >= 0


class LastOfPhase(EpochSelection):
    """Keeps each epoch that is not clearly worse than what the phases before it reached: as a rule the last of the phase.

    Images that are too few to tell epochs apart choose none; the phase's schedule is seen out.

    Args:
      afresh: Function that returns a selection which knows the scores of the earlier phases alone.
    """

    def __init__(self, afresh: Callable[[], EpochSelection]):
        self._afresh = afresh

    def keeps(self, score: EpochScore) -> bool:
        """Returns whether the weights of the next epoch are kept."""
        return self._afresh().keeps(score)


def compare(score: EpochScore, best: EpochScore, *, images: int) -> int:
    """Returns 1 if a score is clearly better than the best so far, -1 if it is clearly worse, 0 if nobody can tell.

    Args:
      score: Score of a later epoch.
      best: Best score so far.
      images: Number of validation images, at least 1.
    """
    if not math.isfinite(score.loss):
        return -1
    low, high = accuracy_interval(best.score, images)
    if not low <= score.score <= high:
        return 1 if score.score > high else -1
    log_likelihood, mistakes = best.loss * images, (1 - best.score) * images
    difference = (best.loss - score.loss) * images
    if abs(difference) <= 2 * math.sqrt(log_likelihood**2 / (mistakes + 1) + 1):
        return 0
    if difference < 0 and score.score > best.score:  # too confident, which calibration corrects, but not wrong
        return 0
    return 1 if difference > 0 else -1
