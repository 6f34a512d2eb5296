"""Finds suspicious images by their pixels and features: copies, wrong labels, outliers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tl_keras.advice.transferability import Probe
from tl_keras.data.base import Source
from tl_keras.data.decoding import decode_image

# Side of the grey thumbnails in pixels: so small that re-encoding and resizing change nothing in them.
THUMBNAIL = 32

# Correlation of two thumbnails from which on one is a copy of the other. Flowers saved again at quality 60 or at half the size
# reach 0.9998, brightened ones 0.995; the closest two of 550 photos that are not copies have 0.91. A crop is not recognised.
_COPY = 0.985

# Number of rows in a block of the matrix of all pairs: 16 MiB.
_BLOCK = 2048

# Number of median absolute deviations above the median from which on an image is an outlier.
_OUTLIER_DEVIATIONS = 4.0

# The median absolute deviation of a Gaussian, in standard deviations.
_MAD_OF_GAUSSIAN = 0.6745


def thumbnails(source: Source, indices: np.ndarray) -> np.ndarray:
    """Returns the grey thumbnails of some decodable images, float32 (k, 32, 32), 0 to 255, in ascending order."""

    def shrink(element: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = tf.cast(decode_image(element["image"]), tf.float32)
        return tf.image.resize(tf.reduce_mean(pixels, axis=-1, keepdims=True), (THUMBNAIL, THUMBNAIL), antialias=True)

    images = source.images(indices, then=shrink)
    return np.concatenate(list(images.batch(64).as_numpy_iterator()))[..., 0]


def near_copies(pixels: np.ndarray, contents: np.ndarray, comparable: np.ndarray) -> np.ndarray:
    """Returns a number for each image, int64 (n,), the same for exact or near copies of each other.

    Args:
      pixels: float32 (n, 32, 32), from `thumbnails`.
      contents: str (n,), hashes of the files.
      comparable: bool (n,), whether the image is large enough to compare its thumbnail. Of the others only exact copies
        count, because scans of 8 pixels of the same digit can correlate at 0.996.
    """
    flat = pixels.reshape(len(pixels), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)  # a uniform image resembles none
    flat[~comparable] = 0
    _, positions, group = np.unique(contents, return_index=True, return_inverse=True)
    first = positions[group]
    for start in range(0, len(flat), _BLOCK):
        rows = flat[start : start + _BLOCK]
        for other in range(start, len(flat), _BLOCK):
            a, b = np.nonzero(rows @ flat[other : other + _BLOCK].T >= _COPY)
            for i, j in zip((a + start).tolist(), (b + other).tolist(), strict=True):
                if i < j and first[i] != first[j]:
                    low, high = sorted((first[i], first[j]))
                    first[first == high] = low
    return first.astype(np.int64)


def label_suspects(probe: Probe) -> np.ndarray:
    """Returns the positions of images whose label is likely wrong, the likeliest first, int64 (k,).

    For these images another class is more likely. They are ordered by the probability of their own label, the "self-confidence" of
    confident learning (Northcutt et al. 2021). Of 15 labels swapped at random among 550 flowers, the first 30 contain 12.0 on
    average over 12 draws, and at least 11; ordered by the margin to the other class they contain 11.5. Votes of neighbours,
    several folds, a second round without the suspects or features of more depths add less than half an image.

    Args:
      probe: Out-of-fold predictions for all images.
    """
    own = probe.probabilities[np.arange(len(probe.labels)), probe.labels]
    suspects = np.flatnonzero(~probe.right)
    return suspects[np.argsort(own[suspects], kind="stable")]


def expected_errors(probe: Probe) -> int:
    """Returns how many labels are expected to be wrong: those off the diagonal of the "confident joint" of confident learning.

    An image counts for the likeliest class whose probability is at least the mean that the class has among the images labelled so
    (Northcutt et al. 2021, equation 1), which is more than being likelier than the own label. With 15 labels swapped at random
    among 550 flowers, whose own labels count 18, it is 26.1 on average over ten draws and 22 to 29, where 98 predictions differ
    from their label; scaled to all images, as the paper goes on, it is 38 (`benchmarks/label_errors.py`).

    Args:
      probe: Out-of-fold predictions for all images.
    """
    rows = np.arange(len(probe.labels))
    own = probe.probabilities[rows, probe.labels]
    classes = probe.probabilities.shape[1]
    images = np.maximum(np.bincount(probe.labels, minlength=classes), 1)
    mean = np.bincount(probe.labels, weights=own, minlength=classes) / images
    confident = np.where(probe.probabilities >= mean, probe.probabilities, -1.0)
    return int(((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != probe.labels)).sum())


def far_away(distances: np.ndarray) -> np.ndarray:
    """Returns the positions of the outliers among distances, float (n,), the farthest first, int64 (k,)."""
    median = np.median(distances)
    deviation = np.median(np.abs(distances - median)) / _MAD_OF_GAUSSIAN
    found = np.flatnonzero(distances > median + _OUTLIER_DEVIATIONS * max(deviation, 1e-9))
    return found[np.argsort(-distances[found], kind="stable")]
