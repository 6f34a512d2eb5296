"""Computes the interval of any score by resampling images."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

# Resamples of fewer images than these are too much alike to tell anything.
FEWEST = 5

# More change the ends of an interval by less than their rounding.
_RESAMPLES = 1000


def bootstrap_interval(
    score: Callable[[np.ndarray, np.ndarray], float], logits: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Returns the 95% interval of a score, by the bootstrap over images (Efron 1979, the percentile method).

    Where all resamples score the same, as those of perfect answers do, one image more is reckoned with, which is taken for one with
    another label, and is drawn as often as any other: else the interval would have no width. Fewer than five images tell nothing:
    the interval then goes up to 1, and down to 0 or below it.

    Args:
      score: Function from logits and labels to the score.
      logits: Logits of the images, float32 (n, outputs), n at least 1.
      labels: Labels of the images, as the source has them.
    """
    random = np.random.default_rng(0)
    scores, answered = [], np.empty(_RESAMPLES, np.int64)
    for number, drawn in enumerate(resamples(len(labels), random)):
        scores.append(score(logits[drawn], labels[drawn]))
        answered[number] = drawn[0]
    if len(set(scores)) == 1:
        draws, right = resamples(len(labels), np.random.default_rng(0)), _unlike(labels, answered, random)
        times = random.poisson(1, _RESAMPLES)
        scores = [
            score(logits[np.append(drawn, np.repeat(image, count))], labels[np.append(drawn, np.repeat(other, count))])
            for drawn, image, other, count in zip(draws, answered, right, times, strict=True)
        ]
    low, high = np.quantile(scores, (0.025, 0.975))
    return (float(low), float(high)) if len(labels) >= FEWEST else (min(float(low), 0.0), 1.0)


def resamples(images: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields a thousand resamples, each int64 (images,), one at a time: those of 200,000 images would take 1.6 GB together."""
    return (random.integers(0, images, images) for _ in range(_RESAMPLES))


def _unlike(labels: np.ndarray, indices: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns for each of some images one with another label, int64 (k,); itself if there is none."""
    names, first, label = np.unique(labels, axis=0, return_index=True, return_inverse=True)
    step = random.integers(1, max(len(names), 2), len(indices))
    return first[(label.reshape(-1)[indices] + step) % len(names)]
