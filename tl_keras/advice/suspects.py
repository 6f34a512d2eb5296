"""Finds suspicious images by their pixels and features: copies, wrong labels, outliers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tl_keras.probes.probe import Probe
from tl_keras.probes.vectors import BLOCK, Vectors, blocks
from tl_keras.serving.outlier import fit_outlier_model

# Correlation of two thumbnails from which on one is a copy of the other. Flowers saved again at quality 60 or at half the size
# reach 0.9998, brightened ones 0.995; the closest two of 550 photos that are not copies have 0.91. A crop is not recognised.
_COPY = 0.985

# Distance of two vectors of length 1 with that correlation, and a little more for half precision. Along a few orthogonal directions
# it can only be smaller, so that a search there misses no copy.
_DISTANCE = float(np.sqrt(2 - 2 * _COPY)) + 1e-3

# Numbers of directions to search along, in turn until few pairs are left to compare. Of 100,000 pictures with the spectrum of
# photos, 8 directions leave 66,567 pairs after 7 s of processor time, and 16 leave 3 after 21 s.
_DIRECTIONS = (8, 16, 32)
_MOST_PAIRS = 5_000_000  # 80 MB
_SAMPLE = 4096

# Number of median absolute deviations above the median from which on an image is an outlier.
_OUTLIER_DEVIATIONS = 4.0

# Largest number of images that outliers are measured from; a mean and 32 directions are known well from so many.
_OUTLIER_IMAGES = 10_000

# The median absolute deviation of a Gaussian, in standard deviations.
_MAD_OF_GAUSSIAN = 0.6745


def near_copies(vectors: Vectors, contents: np.ndarray, comparable: np.ndarray) -> np.ndarray:
    """Returns a number for each image, int64 (n,), that of the first exact or near copy of it; a copy's copy is one too.

    Pairs are looked for along the first principal directions by a k-d tree and then compared as a whole, so that all are found.
    If the images are so alike that this leaves too many pairs, all pairs are compared, in blocks: the time then grows as n².

    Args:
      vectors: Thumbnails, from `tl_keras.advice.thumbnails.thumbnails`: rows of length 1, or of zeros, which resemble none.
      contents: str (n,), hashes of the files.
      comparable: bool (n,), whether the image is large enough to compare its thumbnail. Of the others only exact copies
        count, because scans of 8 pixels of the same digit can correlate at 0.996.
    """
    _, first, content = np.unique(contents, return_index=True, return_inverse=True)
    number = smallest_of_component(first[content], np.stack([np.arange(len(contents)), first[content]], axis=1))
    compared = np.sort(first[comparable[first]])
    waiting: list[np.ndarray] = []
    for found in _close_pairs(vectors, compared):
        waiting.append(compared[found])
        if sum(map(len, waiting)) > _MOST_PAIRS:
            number, waiting = smallest_of_component(number, np.concatenate(waiting)), []
    return smallest_of_component(number, np.concatenate(waiting)) if waiting else number


def members_of_each(numbers: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the positions, ascending, of every number that occurs more than once in int64 (n,), in order of the numbers."""
    order = np.argsort(numbers, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if len(members) > 1:
            yield members


def _close_pairs(vectors: Vectors, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yields pairs of positions in `rows`, int64 (m, 2), whose vectors correlate as copies do."""
    if len(rows) < 2:
        return
    random = np.random.default_rng(0)
    sample = np.asarray(vectors[np.sort(random.permutation(rows)[:_SAMPLE])], np.float32)
    directions = np.linalg.eigh(sample.T @ sample)[1][:, : -max(_DIRECTIONS) - 1 : -1]
    parts = [(block @ directions, block.any(axis=1)) for block in blocks(vectors, rows)]
    full = np.flatnonzero(np.concatenate([is_full for _, is_full in parts]))
    along = np.concatenate([part for part, _ in parts])[full]
    if len(full) < 2:
        return
    for count in _DIRECTIONS:
        points = np.ascontiguousarray(along[:, :count])
        tree, some = cKDTree(points), points[random.permutation(len(full))[:_SAMPLE]]
        pairs = cKDTree(some).count_neighbors(tree, _DISTANCE) - len(some)
        if pairs * len(full) / len(some) / 2 <= _MOST_PAIRS:
            yield from _confirmed(vectors, rows, full[tree.query_pairs(_DISTANCE, output_type="ndarray")])
            return
    yield from _all_pairs(vectors, rows[full], full)


def _confirmed(vectors: Vectors, rows: np.ndarray, pairs: np.ndarray) -> Iterator[np.ndarray]:
    """Yields those of some pairs of positions, in blocks, whose whole vectors correlate as copies do."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    for start in range(0, len(pairs), BLOCK):
        some = pairs[start : start + BLOCK]
        one, other = (np.asarray(vectors[rows[some[:, side]]], np.float32) for side in (0, 1))
        yield some[np.einsum("ij,ij->i", one, other) >= _COPY]


def _all_pairs(vectors: Vectors, rows: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
    """Yields all pairs of positions whose vectors correlate as copies do, from blocks of the matrix of all pairs."""
    for i, one in enumerate(blocks(vectors, rows)):
        for j, other in enumerate(blocks(vectors, rows[i * BLOCK :]), start=i):
            a, b = np.nonzero(one @ other.T >= _COPY)
            yield np.stack([positions[i * BLOCK + a], positions[j * BLOCK + b]], axis=1)


def smallest_of_component(number: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns the numbers, int64 (n,), after joining pairs of rows, int64 (m, 2): each the smallest row that it is joined to."""
    if not len(pairs):
        return number
    n = len(number)
    ends = np.concatenate([pairs, np.stack([np.arange(n), number], axis=1)])
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    smallest: np.ndarray = np.full(n, n, np.int64)
    np.minimum.at(smallest, component, np.arange(n))
    return smallest[component]


def label_suspects(probe: Probe) -> np.ndarray:
    """Returns the positions of images whose label is likely wrong, the likeliest first, int64 (k,).

    For these images another class is more likely. They are ordered by the probability of their own label, the "self-confidence" of
    confident learning (Northcutt et al. 2021). Of 15 labels swapped at random among 550 flowers, the first 30 contain 12.0 on
    average over 12 draws, and at least 11; ordered by the margin to the other class they contain 11.5. Votes of neighbours,
    several folds, a second round without the suspects or features of more depths add less than half an image.

    Args:
      probe: Out-of-fold predictions for all images; those whose class was not shown are no suspects.
    """
    own = probe.probabilities[np.arange(len(probe.labels)), probe.labels]
    suspects = np.flatnonzero(probe.shown & ~probe.right)
    return suspects[np.argsort(own[suspects], kind="stable")]


def expected_errors(probe: Probe) -> int:
    """Returns how many labels are expected to be wrong: those off the diagonal of the "confident joint" of confident learning.

    An image counts for the likeliest class whose probability is at least the mean that the class has among the images labelled so
    (Northcutt et al. 2021, equation 1), which is more than being likelier than the own label. With 15 labels swapped at random
    among 550 flowers, it is 27 on average over ten draws and 23 to 35, where 97 predictions differ from their label
    (`benchmarks/label_errors.py`). Of a weak probe it counts hard images as errors.

    Args:
      probe: Out-of-fold predictions for all images; those whose class was not shown do not count.
    """
    shown, classes = probe.shown, probe.probabilities.shape[1]
    own = probe.probabilities[np.arange(len(probe.labels)), probe.labels]
    images = np.bincount(probe.labels[shown], minlength=classes)
    mean = np.bincount(probe.labels[shown], weights=own[shown], minlength=classes) / np.maximum(images, 1)
    confident = np.where((probe.probabilities >= mean) & (images > 0), probe.probabilities, -1.0)
    return int((shown & (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != probe.labels)).sum())


def far_away(distances: np.ndarray) -> np.ndarray:
    """Returns the positions of the outliers among distances, float (n,), the farthest first, int64 (k,)."""
    median = np.median(distances)
    deviation = np.median(np.abs(distances - median)) / _MAD_OF_GAUSSIAN
    found = np.flatnonzero(distances > median + _OUTLIER_DEVIATIONS * max(deviation, 1e-9))
    return found[np.argsort(-distances[found], kind="stable")]


def unlike_all_others(features: Vectors, *, seed: int, known: Vectors | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the outliers among images, the farthest first, int64 (k,), and their distances in units of the median, float (k,).

    Args:
      features: Features of n images, float32 (n, d).
      seed: Seed of the choice of images that others are compared with.
      known: Features of the images that they are compared with, float32 (m, d); None for the images themselves.
    """
    usual = features if known is None else known
    some = np.asarray(usual[np.sort(np.random.default_rng(seed).permutation(len(usual))[:_OUTLIER_IMAGES])])
    model = fit_outlier_model(some, some)
    distances = np.concatenate([model.score(block).numpy() for block in blocks(features)])
    far = far_away(distances)
    return far, distances[far] / np.median(distances)
