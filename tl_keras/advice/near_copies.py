"""Finds images of one object by their features: nearer to each other than any two images of different classes."""

from __future__ import annotations

import numpy as np

from tl_keras.advice.suspects import smallest_of_component

# Cosine of two centred features from which on images may show one object. Of ten copies of a flower, cropped to 70% to 90% of each
# side, turned by up to 10 degrees and in another light, 95 in 100 have another at 0.80 and more (MobileNetV2); of 550 different
# flowers 5 in 100 have another at 0.70, of 200 ImageNet photos none.
_ALIKE = 0.7

# Distance from the 99th percentile of what images of different classes reach, who show different objects: scans of digits are all
# alike, up to 0.88.
_BEYOND_OTHER_CLASSES, _MARGIN = 0.99, 0.05

# Number of images that are compared with all others to find that percentile, and of pairs that are compared at a time, in
# blocks of a few rows at least.
_ASKED, _PAIRS, _FEWEST_ROWS = 1_000, 1_000_000, 64


def copies_by_features(features: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Returns a number for each image, int64 (n,), the same for those that are linked by near-copies of one class.

    Args:
      features: Features of a teacher, float32 (n, d).
      strata: Stratum of each image, int64 (n,), such as its class.
    """
    centred = features - features.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    limit = max(_ALIKE, _reached_by_others(unit, strata) + _MARGIN)
    number = np.arange(len(unit))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        number[members] = members[_linked(unit[members], limit)]
    return np.unique(number, return_inverse=True)[1].astype(np.int64)


def _linked(unit: np.ndarray, limit: float) -> np.ndarray:
    """Returns for each vector of length 1 the first that it is linked to, int64 (n,), with one block of pairs in memory."""
    number, rows = np.arange(len(unit)), max(_FEWEST_ROWS, _PAIRS // len(unit))
    for start in range(0, len(unit), rows):
        near, other = np.nonzero(unit[start : start + rows] @ unit[start:].T >= limit)
        apart = number[start + near] != number[start + other]
        number = smallest_of_component(number, start + np.stack([near[apart], other[apart]], axis=1))
    return number


def _reached_by_others(unit: np.ndarray, strata: np.ndarray) -> float:
    """Returns the cosine that images of other classes rarely reach; -1 if there is one class."""
    asked = np.random.default_rng(0).permutation(len(unit))[:_ASKED]
    cosine = unit[asked] @ unit.T
    cosine[strata[asked][:, None] == strata[None, :]] = -1
    return float(np.quantile(cosine.max(axis=1), _BEYOND_OTHER_CLASSES))
