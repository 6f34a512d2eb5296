"""Chooses between alternatives by out-of-fold predictions of the same images; in doubt the first, which does well on most sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tl_keras.probes.probe import error_of_mean
from tl_keras.probes.task_probe import Judged

# Standard errors of the paired difference by which another alternative has to be better; docs/recipe.md compares 0, 1, 1.5 and 2.
_CLEARLY = 1.0

# Smallest difference that counts at all: scores are said to three digits.
_VISIBLE = 5e-4


@dataclasses.dataclass(frozen=True)
class Alternative:
    """A way to do something, and how well the labels are told with it.

    Attributes:
      name: Name of the alternative, such as a value of `model.resize`.
      probe: Out-of-fold predictions.
    """

    name: str
    probe: Judged


def choose(alternatives: Sequence[Alternative], *, clearly: float = _CLEARLY) -> Alternative:
    """Returns the alternative of the best score if it is clearly better than the first, otherwise the first.

    Args:
      alternatives: Alternatives with predictions for the same images; those with predictions for the first of them only are not
        chosen. The first alternative is the one to take in doubt.
      clearly: Standard errors of the paired difference that count as clear.
    """
    best = max(_of_all_images(alternatives), key=lambda each: each.probe.score)
    difference, error = _difference(best.probe, alternatives[0].probe)
    return best if difference > max(clearly * error, _VISIBLE) else alternatives[0]


def describe(alternatives: Sequence[Alternative], chosen: Alternative, *, measured: str) -> str:
    """Returns the scores and the choice in a sentence.

    Args:
      alternatives: Alternatives, at least two, the one to take in doubt first.
      chosen: The one that is taken.
      measured: Subject of the sentence, such as `a linear classifier`.
    """
    prior, *rivals = alternatives
    images = len(prior.probe.labels)
    scores = ", ".join(
        f"{each.name} {each.probe.score:.3f} ± {each.probe.standard_error:.3f}"
        + ("" if len(each.probe.labels) == images else f" (first {len(each.probe.labels)} images)")
        for each in alternatives
    )
    best = max(_of_all_images(alternatives)[1:] or rivals, key=lambda each: each.probe.score)
    difference, error = _difference(best.probe, prior.probe)
    if chosen is not prior:
        told = "clearly better" if difference > error else "better"
    elif difference > _VISIBLE:
        told = f"no clear gain, so {prior.name} stays, the best on most sets"
    else:
        told = f"no gain, so {prior.name} stays"
    got = prior.probe.in_sentence(scores)
    return (
        f"{measured} gets, out of fold, {got}; {best.name} against {prior.name} {difference:+.3f} ± {error:.3f}: {told}"
    )


def _of_all_images(alternatives: Sequence[Alternative]) -> list[Alternative]:
    """Returns the alternatives with predictions for as many images as the first has, the first among them."""
    return [each for each in alternatives if len(each.probe.labels) == len(alternatives[0].probe.labels)]


def _difference(one: Judged, other: Judged) -> tuple[float, float]:
    """Returns the difference of two scores on the same images, and its standard error."""
    images = min(len(one.labels), len(other.labels))
    values = one.values[:images] - other.values[:images]
    return float(values.mean()), error_of_mean(values, one.clusters[:images])
