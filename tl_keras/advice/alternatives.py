"""Chooses between alternatives by out-of-fold predictions of the same images; in doubt the first, which does well on most sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tl_keras.advice.transferability import Probe

# Standard errors of the paired difference by which another alternative has to be better; docs/recipe.md compares 0, 1, 1.5 and 2.
_CLEARLY = 1.0


@dataclasses.dataclass(frozen=True)
class Alternative:
    """A way to do something, and how well the classes are told apart with it.

    Attributes:
      name: Name of the alternative, such as a value of `model.resize`.
      probe: Out-of-fold predictions.
    """

    name: str
    probe: Probe


def choose(alternatives: Sequence[Alternative], *, clearly: float = _CLEARLY) -> Alternative:
    """Returns the alternative of the best accuracy if it is clearly better than the first, otherwise the first.

    Args:
      alternatives: Alternatives with predictions for the same images; the first is the one to take in doubt.
      clearly: Standard errors of the paired difference that count as clear.
    """
    best = max(alternatives, key=lambda each: each.probe.accuracy)
    difference, error = _difference(best.probe, alternatives[0].probe)
    return best if difference > clearly * error else alternatives[0]


def describe(alternatives: Sequence[Alternative], chosen: Alternative, *, measured: str) -> str:
    """Returns the accuracies and the choice in a sentence.

    Args:
      alternatives: Alternatives, at least two, the one to take in doubt first.
      chosen: The one that is taken.
      measured: Subject of the sentence, such as `a linear classifier`.
    """
    prior, *rivals = alternatives
    scores = ", ".join(
        f"{each.name} {each.probe.accuracy:.3f} ± {each.probe.standard_error:.3f}" for each in alternatives
    )
    best = max(rivals, key=lambda each: each.probe.accuracy)
    difference, error = _difference(best.probe, prior.probe)
    told = "clearly better" if chosen is not prior else "no clear gain, so the one that is best on most sets is taken"
    return f"{measured} gets, out of fold, {scores} right; {best.name} against {prior.name} {difference:+.3f} ± {error:.3f}: {told}"


def _difference(one: Probe, other: Probe) -> tuple[float, float]:
    """Returns the difference of two accuracies on the same images, and its standard error."""
    right = one.right.astype(float) - other.right
    return float(right.mean()), float(right.std() / np.sqrt(len(right)))
