"""Chooses images to label next: uncertain ones, each of which stands for many that no labelled image is like.

The rule is Uncertainty Herding (Bae, Oliveira and Sutherland 2025, arXiv 2412.20644); before there is a label, when all images are
equally uncertain, it is MaxHerding (Bae, Noh and Sutherland 2024, arXiv 2407.12212). `benchmarks/label_next.py` compares it with
others.
"""

from __future__ import annotations

import heapq

import numpy as np
from scipy.spatial.distance import cdist

# Numbers of images, drawn at random, that are to be covered and that are chosen from; more make no difference that labels show.
_COVERED, _CANDIDATES = 2_000, 8_000

# The neighbour whose median distance is the width of the kernel. Half that width, or the smallest distance between two labelled
# images, as published, need a few labels more on one set and fewer on another.
_NEIGHBOUR = 10

# Number of images that are compared with draws of as many, and number of the draws.
_COMPARED, _DRAWS = 500, 20

# Number of images from which the width is measured.
_MEASURED = 1_000


def margin_uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """Returns 1 less the margin between the two most likely classes, float64 (n,), 0 to 1.

    Args:
      probabilities: Calibrated probabilities, (n, classes), at least two classes.
    """
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    return 1.0 - np.abs(best[:, 1] - best[:, 0])


def choose_images(
    vectors: np.ndarray,
    *,
    labelled: np.ndarray,
    uncertainty: np.ndarray | None,
    count: int,
    seed: int,
) -> np.ndarray:
    """Chooses images one after the other, each the one that adds most to the uncertainty that is covered.

    An image covers another by a Gaussian of their distance, and a set covers it as the best of its images does.

    Args:
      vectors: float32 (n, d), directions of the images to choose from.
      labelled: float32 (m, d), directions of the labelled images; m may be 0.
      uncertainty: Weight of each image, float (n,), 0 or more; None for the same of all.
      count: Number of images to choose, at most n.
      seed: Seed of the draws, where there are more images than are compared.

    Returns:
      Positions in the order of their worth, int64 (count,).
    """
    random = np.random.default_rng(seed)
    covered = _drawn(random, len(vectors), _COVERED)
    candidates = _drawn(random, len(vectors), max(_CANDIDATES, count))
    weights: np.ndarray = np.ones(len(covered), np.float32)
    if uncertainty is not None and uncertainty[covered].any():
        weights = uncertainty[covered].astype(np.float32)
    width = _kernel_width(vectors[covered])
    kernel = _gaussian(vectors[covered], vectors[candidates], width)
    best: np.ndarray = np.zeros(len(covered), np.float32)
    if len(labelled):
        best = _gaussian(vectors[covered], labelled, width).max(axis=1)
    return candidates[_one_after_the_other(kernel, best, weights, count)]


def order_of_worth(vectors: np.ndarray, *, covered: np.ndarray) -> np.ndarray:
    """Returns images in the order in which they would be chosen before there is a label, int64 (n,).

    Args:
      vectors: float32 (n, d), directions of the images.
      covered: float32 (m, d), directions of the images that they stand for.
    """
    kernel = _gaussian(covered, vectors, _kernel_width(covered))
    everywhere: np.ndarray = np.ones(len(covered), np.float32)
    return np.array(_one_after_the_other(kernel, np.zeros(len(covered), np.float32), everywhere, len(vectors)))


def lie_apart(vectors: np.ndarray, everything: np.ndarray, *, seed: int) -> bool:
    """Returns whether images lie farther from each other than images drawn at random do, as those that were chosen here.

    Args:
      vectors: Directions of the images, float32 (n, d).
      everything: Directions of the images that they are compared with, float32 (m, d).
      seed: Seed of the draws.
    """
    random, count = np.random.default_rng(seed), min(len(vectors), _COMPARED)
    if count < 2:
        return False
    drawn = [_apart(everything[random.permutation(len(everything))[:count]]) for _ in range(_DRAWS)]
    return _apart(vectors[random.permutation(len(vectors))[:count]]) > max(drawn)


def _apart(vectors: np.ndarray) -> float:
    """Returns the mean distance of directions, float32 (n, d), to the nearest other one, by their cosine."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    return float(1 - cosine.max(axis=1).mean())


def _one_after_the_other(kernel: np.ndarray, best: np.ndarray, weights: np.ndarray, count: int) -> list[int]:
    """Returns columns of a kernel, float32 (covered, candidates), each the one that adds most to what is covered.

    What an image adds only shrinks as others are chosen, so that one which added less before is not asked again (Minoux 1978).
    """
    columns, chosen = np.ascontiguousarray(kernel.T), list[int]()
    least = [(-float(gain), column) for column, gain in enumerate(np.maximum(columns - best, 0) @ weights)]
    heapq.heapify(least)
    while len(chosen) < count:
        column = least[0][1]
        now = (-float(weights @ np.maximum(columns[column] - best, 0)), column)
        heapq.heapreplace(least, now)
        if least[0] == now:
            heapq.heappop(least)
            chosen.append(column)
            best = np.maximum(best, columns[column])
    return chosen


def _drawn(random: np.random.Generator, images: int, most: int) -> np.ndarray:
    return np.arange(images) if images <= most else np.sort(random.permutation(images)[:most])


def _gaussian(one: np.ndarray, other: np.ndarray, width: float) -> np.ndarray:
    """Returns how much each of some unit vectors covers each of others, float32 (n, m), 0 to 1."""
    squared = np.maximum(2 - 2 * (one @ other.T), 0)
    return np.exp(squared / np.float32(-2 * width**2))


def _kernel_width(vectors: np.ndarray) -> float:
    """Returns the median distance of an image to its tenth neighbour."""
    distances = np.sort(cdist(vectors[:_MEASURED], vectors), axis=1)
    return max(float(np.median(distances[:, min(_NEIGHBOUR, len(vectors) - 1)])), 1e-3)
