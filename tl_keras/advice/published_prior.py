"""Says which accuracies to expect of teachers, from the answers of their probes and their published ImageNet accuracies.

A probe on a few images tells teachers apart badly, and better ImageNet networks transfer better (Kornblith et al. 2019, "Do better
ImageNet models transfer better?", section 4). How much the latter holds for these images is found from the same measurements.
"""

from __future__ import annotations

import numpy as np

from tl_keras.probes.probe import covariance_of_means

# With fewer teachers, a line through them has no residuals to speak of.
_FEWEST = 4

# Standard deviations of the teachers around the line that are averaged over; accuracies lie between 0 and 1.
_DEVIATIONS = np.linspace(0.0025, 0.3, 120)

# With fewer teachers, a line from one measure to another says nothing.
_FEWEST_FOR_SCALE = 3


def prior_counts(top1: np.ndarray) -> bool:
    """Returns whether enough teachers have published accuracies, float (teachers,), 0 for none, that they count."""
    return len(np.unique(top1[top1 > 0])) >= _FEWEST


def expected_accuracies(
    values: np.ndarray, degrees: np.ndarray, top1: np.ndarray, *, clusters: np.ndarray | None = None
) -> np.ndarray:
    """Returns the accuracies, or other scores, to expect of teachers, in the order of how right the answers of their probes were.

    The mean probability of the right class errs less than the part of the answers that are right, which throws away how near each
    was. It is combined with the published accuracies, and brought to the
    scale of accuracies by the line through those of the teachers. What it gains: benchmarks/DIARY.md.

    Args:
      values: Contribution of each image to the score, such as 1 for a right answer, float (teachers, images).
      degrees: Degree to which each answer was right, such as the probability of the right class, float (teachers, images).
      top1: See `combined_accuracies`.
      clusters: See `combined_accuracies`.

    Returns:
      float64 (teachers,), at most 1; the means of the values where there are fewer than three teachers, or where the line falls.
    """
    measured, certain = values.mean(axis=1), degrees.mean(axis=1)
    if np.array_equal(values, degrees):
        return combined_accuracies(values, top1, clusters=clusters)
    if len(np.unique(certain)) < _FEWEST_FOR_SCALE:
        return measured
    slope, start = np.polyfit(certain, measured, 1)
    if slope <= 0:
        return measured
    return np.minimum(start + slope * combined_accuracies(degrees, top1, clusters=clusters), 1)


def combined_accuracies(right: np.ndarray, top1: np.ndarray, *, clusters: np.ndarray | None = None) -> np.ndarray:
    """Returns accuracies that lie between those measured and a line through them along the published ones.

    This is the model of Fay and Herriot (1979, "Estimates of income for small places"): measured accuracies have errors of known
    covariance, here that of teachers which were asked about the same images, and the true ones scatter around a line. The
    scatter is averaged over, by its restricted likelihood under a flat prior: the more the measurements contradict the line, the
    less the line counts.

    Args:
      right: Answers that were right, bool (teachers, images), or how right they were, 0 to 1, float.
      top1: Published accuracy of each teacher, 0 to 1, float (teachers,); 0 for one that has none, which keeps what is measured.
      clusters: int64 (images,), the same number for images whose answers vary together; None where each is alone.

    Returns:
      float64 (teachers,), 0 to 1; as measured where fewer than four have a published accuracy, or all images are of one cluster.
    """
    measured = right.mean(axis=1)
    published = np.flatnonzero(top1 > 0)
    if not prior_counts(top1):
        return measured
    accuracies = measured[published]
    line = np.stack([np.ones(len(published)), top1[published]], axis=1)
    together = np.arange(right.shape[1]) if clusters is None else clusters
    covariance = covariance_of_means(right[published].astype(float), together)
    if not np.isfinite(covariance).all():  # of one cluster nothing tells how far its means err
        return measured
    likelihoods, means = [], []
    for deviation in _DEVIATIONS:
        inverse = np.linalg.inv(deviation**2 * np.eye(len(published)) + covariance)
        precision = line.T @ inverse @ line
        residuals = accuracies - line @ np.linalg.solve(precision, line.T @ inverse @ accuracies)
        weighted = inverse @ residuals
        likelihoods.append((np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(precision)[1] - residuals @ weighted) / 2)
        means.append(accuracies - covariance @ weighted)
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    combined = measured.copy()
    combined[published] = np.clip(weights @ np.array(means) / weights.sum(), 0, 1)
    return combined
