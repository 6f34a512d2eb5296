"""Decides which epoch's weights a run keeps where the score is no accuracy, such as a mean average precision or R²."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from tl_keras.evaluation.selection import EpochScore, EpochSelection

# Part by which the loss may exceed that of the best epoch: beyond, the network has grown too sure of its mistakes.
_HIGHER_LOSS = 0.1


class HighestScore(EpochSelection):
    """Keeps the last epoch whose score lies within one standard error of the best, and whose loss is not clearly higher.

    The last one is furthest down the cosine, and the best of tens of epochs on few images is a lucky one (the rule of one
    standard error: Breiman et al. 1984, section 3.4.3).

    Args:
      images: Number of validation images, at least 1.
      scores: Scores of the earlier epochs in order, if a run is resumed.
      standard_error: Function from a score and a number of images to the score's standard error.
    """

    def __init__(
        self, images: int, scores: Iterable[EpochScore], *, standard_error: Callable[[float, int], float]
    ) -> None:
        self._standard_error = standard_error
        self._highest: EpochScore | None = None
        super().__init__(images, scores)

    def keeps(self, score: EpochScore) -> bool:
        """Adds the score of the next epoch, and returns whether its weights are kept."""
        if not math.isfinite(score.loss):
            return False
        best = self._highest
        if best is None or score.score > best.score:
            self._highest = score
            return True
        allowed = self._standard_error(best.score, self._images)
        return score.score >= best.score - allowed and score.loss <= best.loss * (1 + _HIGHER_LOSS)


def error_of_part(score: float, images: int) -> float:
    """Returns the standard error of a part of the images, 0 to 1, which is near that of a mean average precision."""
    part = min(max(score, 0.0), 1.0)
    return math.sqrt(part * (1 - part) / images)


def error_of_r2(score: float, images: int) -> float:
    """Returns the standard error of R² for one regressor (Olkin and Finn 1995)."""
    r2 = min(max(score, 0.0), 1.0)
    return 2 * math.sqrt(r2 / images) * (1 - r2)
