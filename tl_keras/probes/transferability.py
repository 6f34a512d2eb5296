"""Scores how well a teacher's features tell the new classes apart, without training the teacher.

Features are those of frozen layers, one row per image; the scores are published ones, each cited at its function.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

from tl_keras.data.groups import deal
from tl_keras.probes.probe import Probe
from tl_keras.probes.vectors import BLOCK, COMPONENTS, Vectors, principal_components

# Number of folds of the linear probe; each classifier is fitted to 80% of the images.
FOLDS = 5

# Number of images below which they are dealt into folds more than once, and the largest number of deals.
_FEW = 1000
_MOST_REPEATS = 4

# Number of neighbours that vote. A single one is noisy, and the smallest classes have few images.
_NEIGHBOURS = 5

# Inverse strength of the probe's L2 penalty, for features of mean squared length 1. At 1, 3, 10, 30 and 100 the probe gets
# 0.850, 0.862, 0.859, 0.860 and 0.855 of 550 flowers right (MobileNetV2), and 0.952 to 0.964 of 1,000 digits (their pixels).
_PROBE_C = 10.0

# Number of iterations after which the probe of 2,000 images and 1,280 features has converged to its accuracy.
_PROBE_STEPS = 100

# Number of feature components for the probe: with 128 it loses up to a point, with all it gains nothing and takes minutes.
_PROBE_COMPONENTS = COMPONENTS

# Largest number of images that a classifier of the probe is fitted to; the rest are predicted only.
_PROBE_IMAGES = 20_000
_FEWEST_OF_A_CLASS = 5

# Iterations of LogME's fixed point: the authors' own limit (github.com/thuml/LogME); tens of steps are enough.
_LOGME_STEPS = 11
_LOGME_TOLERANCE = 1e-3


def linear_probe(
    features: Vectors,
    labels: np.ndarray,
    *,
    classes: int,
    groups: np.ndarray,
    seed: int,
    repeats: int = 1,
    parts: Sequence[float] | None = None,
) -> Probe:
    """Fits a linear classifier to four fifths of the images, or 20,000 of them, and predicts the rest, five times.

    Args:
      features: float32 (n, d).
      labels: int64 (n,), 0 to classes - 1, at least two different ones.
      classes: Number of classes.
      groups: int64 (n,); images of a group, such as copies of each other, are in one fold.
      seed: Seed of the folds.
      repeats: Number of deals of the images into folds; the probabilities are means over them.
      parts: Part of the images in each fold, as in `fold_of_each`.
    """
    scaled = along_components(features)
    found, shown = [], np.zeros(len(labels), bool)
    for each in range(seed, seed + repeats):
        folds = fold_of_each(labels, groups, seed=each, parts=parts)
        found.append(_out_of_fold(scaled, labels, folds, classes=classes, seed=each))
        class_of_fold = np.unique(np.stack([labels, folds]), axis=1)[0]
        shown |= np.bincount(class_of_fold)[labels] > 1
    return Probe(np.mean(found, axis=0), labels, np.flatnonzero(~shown), groups)


def repeats_for(images: int) -> int:
    """Returns the number of deals into folds for a number of images, 1 to 4: with few, one deal decides by chance.

    Of 102 drawn hands, the accuracy of a probe has a standard deviation of 0.02 over deals, that of 340 flowers 0.007.
    """
    return min(max(_FEW // max(images, 1), 1), _MOST_REPEATS)


def _out_of_fold(scaled: np.ndarray, labels: np.ndarray, folds: np.ndarray, *, classes: int, seed: int) -> np.ndarray:
    """Returns the probabilities of one deal into folds, float64 (n, classes)."""
    probabilities: np.ndarray = np.zeros((len(labels), classes))
    for fold in np.unique(folds):
        asked, shown = folds == fold, folds != fold
        fitted_to = np.flatnonzero(shown)
        if len(fitted_to) > _PROBE_IMAGES:
            fitted_to = draw(fitted_to, labels, images=_PROBE_IMAGES, of_each_class=_FEWEST_OF_A_CLASS, seed=seed)
        known = np.unique(labels[fitted_to])
        if len(known) < 2:
            probabilities[np.ix_(asked, known)] = 1.0
            continue
        classifier = fit_classifier(scaled[fitted_to], labels[fitted_to])
        probabilities[np.ix_(asked, known)] = classifier.predict_proba(scaled[asked])
    return probabilities


def fit_classifier(scaled: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> LogisticRegression:
    """Returns the linear classifier of the probe.

    Args:
      scaled: float (n, d), features from `along_components`.
      labels: int64 (n,), at least two different ones.
      weights: Weight of each image, float (n,); None for 1.
    """
    classifier = LogisticRegression(C=_PROBE_C, max_iter=_PROBE_STEPS, tol=1e-3)
    # On one thread: two threads, which wait for each other in every small product, take two to six times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of incomplete convergence in the last digits
        return classifier.fit(scaled, labels, sample_weight=weights)


def ridge_probe(
    features: Vectors,
    values: np.ndarray,
    *,
    strata: np.ndarray,
    groups: np.ndarray,
    seed: int,
    parts: Sequence[float] | None = None,
) -> np.ndarray:
    """Fits a ridge regression to four fifths of the images, or 20,000 of them, and predicts the numbers of the rest, five times.

    Args:
      features: float32 (n, d).
      values: float64 (n, columns).
      strata: int64 (n,); the folds have equal parts of each.
      groups: int64 (n,); images of a group, such as copies of each other, are in one fold.
      seed: Seed of the folds.
      parts: Part of the images in each fold, as in `fold_of_each`.

    Returns:
      Predictions, float64 (n, columns), each by a regression that has seen neither the image nor a copy of it.
    """
    scaled, predicted = along_components(features), np.zeros(values.shape)
    folds = fold_of_each(strata, groups, seed=seed, parts=parts)
    for fold in np.unique(folds):
        asked, fitted_to = folds == fold, np.flatnonzero(folds != fold)
        if len(fitted_to) > _PROBE_IMAGES:
            fitted_to = draw(fitted_to, strata, images=_PROBE_IMAGES, of_each_class=_FEWEST_OF_A_CLASS, seed=seed)
        with threadpool_limits(1):
            ridge = RidgeCV(alphas=np.logspace(-2, 4, 13), alpha_per_target=True)  # columns have units of their own
            fitted = ridge.fit(scaled[fitted_to], values[fitted_to])
        predicted[asked] = fitted.predict(scaled[asked]).reshape(-1, values.shape[1])
    return predicted


def draw(indices: np.ndarray, labels: np.ndarray, *, images: int, of_each_class: int, seed: int) -> np.ndarray:
    """Draws some images, each class in proportion.

    Args:
      indices: int64 (k,), images to draw from.
      labels: int64 (n,), labels of all images.
      images: Approximate number of images to draw.
      of_each_class: Smallest number of images of a class, if it has so many.
      seed: Seed of the draw.

    Returns:
      Indices, int64, in ascending order.
    """
    random = np.random.default_rng(seed)
    share = min(1.0, images / len(indices))
    drawn = []
    for label in np.unique(labels[indices]):
        members = random.permutation(indices[labels[indices] == label])
        drawn.append(members[: max(round(share * len(members)), min(of_each_class, len(members)))])
    return np.sort(np.concatenate(drawn))


def fold_of_each(
    labels: np.ndarray, groups: np.ndarray, *, seed: int, parts: Sequence[float] | None = None
) -> np.ndarray:
    """Returns the fold of each image, int64 (n,), 0 to 4: classes are spread evenly, a group is in one fold.

    Args:
      labels: int64 (n,), classes or strata.
      groups: int64 (n,).
      seed: Seed of the deal.
      parts: Part of the images for each fold; they add up to 1. None means folds of about one size.
    """
    random = np.random.default_rng(seed)
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    if parts or len(first) < len(labels):
        return deal(group, labels, parts or [1 / FOLDS] * FOLDS, seed=seed)
    fold_of_group: np.ndarray = np.zeros(len(first), np.int64)
    start = 0
    for label in np.unique(labels[first]):
        members = random.permutation(np.flatnonzero(labels[first] == label))
        fold_of_group[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)  # so that classes of one image are not all in the first fold
    return fold_of_group[group]


def nearest_neighbour_accuracy(features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray) -> float:
    """Returns the part of the images, 0 to 1, whose class wins the vote of their five nearest other images by cosine.

    Votes are weighted by the cosine. Images of the same group do not vote for each other.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    cosine = unit @ unit.T
    cosine[groups[:, None] == groups[None, :]] = -np.inf
    neighbours = np.argpartition(-cosine, min(_NEIGHBOURS, len(labels) - 1), axis=1)[:, :_NEIGHBOURS]
    weights = np.clip(np.take_along_axis(cosine, neighbours, axis=1), 0, None)
    votes: np.ndarray = np.zeros((len(labels), int(labels.max()) + 1))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[neighbours]), weights)
    return float(np.mean(votes.argmax(axis=1) == labels))


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """Returns the log of the maximum evidence of a linear model per image, averaged over the classes; more is better.

    You et al. 2021, "LogME: Practical assessment of pre-trained models for transfer learning", algorithm 1: a Bayesian
    regression of each class's indicator, with the two precisions that make the labels most likely.

    Args:
      features: float32 (n, d).
      labels: int64 (n,).
    """
    left, eigenvalues = _spectrum(features)
    n, d = features.shape
    evidences = [
        _evidence((labels == label).astype(np.float64), left, eigenvalues, n, d) for label in np.unique(labels)
    ]
    return float(np.mean(evidences))


def _evidence(target: np.ndarray, left: np.ndarray, eigenvalues: np.ndarray, n: int, d: int) -> float:
    """Returns the log evidence per image of one target, at the fixed point of alpha and beta."""
    along = (left.T @ target) ** 2
    outside = max(float(target @ target - along.sum()), 0.0)  # the part that no features explain
    alpha = beta = 1.0
    for _ in range(_LOGME_STEPS):
        ratio = alpha / beta
        effective = float((eigenvalues / (ratio + eigenvalues)).sum())
        length = float((eigenvalues * along / (ratio + eigenvalues) ** 2).sum())
        residual = float((along / (1 + eigenvalues / ratio) ** 2).sum()) + outside
        alpha, beta = effective / (length + 1e-12), (n - effective) / (residual + 1e-12)
        if abs(alpha / beta - ratio) / ratio <= _LOGME_TOLERANCE:
            break
    ratio = alpha / beta
    length = float((eigenvalues * along / (ratio + eigenvalues) ** 2).sum())
    residual = float((along / (1 + eigenvalues / ratio) ** 2).sum()) + outside
    rank = len(eigenvalues)
    teacher_scores = (
        d * np.log(alpha)
        + n * np.log(beta)
        - np.log(alpha + beta * eigenvalues).sum()
        - (d - rank) * np.log(alpha)
        - beta * residual
        - alpha * length
        - n * np.log(2 * np.pi)
    ) / 2
    return float(teacher_scores / n)


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Returns the variance between the classes relative to that of the features, 0 to classes - 1; more is better.

    Bao et al. 2019, "An information-theoretic approach to transferability", definition 2, with the covariance shrunk as in
    Ibrahim et al. 2022, "Newer is not always better"; without shrinkage it is classes - 1 whenever there are more features
    than images. The amount of shrinkage is that of Ledoit and Wolf (2004).

    Args:
      features: float32 (n, d).
      labels: int64 (n,).
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    n, d = centred.shape
    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    mean_variance = float((centred**2).sum() / (n * d))
    # trace(C^-1 M) with C = (1 - s) X'X / n + s m I: along the singular vectors of X both are sums over images.
    left, eigenvalues = _spectrum(centred)
    variances = (1 - shrinkage) * eigenvalues / n + shrinkage * mean_variance
    along = left * np.sqrt(eigenvalues)
    between = sum(np.mean(labels == label) * along[labels == label].mean(axis=0) ** 2 for label in np.unique(labels))
    return float((1 - shrinkage) * (between / variances).sum())


def leep(teacher_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean log likelihood of the labels given only the teacher's predictions; at most 0, more is better.

    Nguyen et al. 2020, "LEEP: A new measure to evaluate transferability of learned representations", equation 2.

    Args:
      teacher_probabilities: float (n, teacher's classes), rows that sum to 1.
      labels: int64 (n,).
    """
    joint = np.stack([teacher_probabilities[labels == label].sum(axis=0) for label in np.unique(labels)])
    conditional = joint / np.maximum(joint.sum(axis=0), np.finfo(np.float64).tiny)
    rows = np.unique(labels, return_inverse=True)[1]
    return float(np.log((teacher_probabilities * conditional[rows]).sum(axis=1)).mean())


def nce(teacher_labels: np.ndarray, labels: np.ndarray) -> float:
    """Returns the negative conditional entropy of the labels given the teacher's top predictions; at most 0, in nats.

    Tran et al. 2019, "Transferability and hardness of supervised classification tasks", equation 6.

    Args:
      teacher_labels: int64 (n,), the teacher's class for each image.
      labels: int64 (n,).
    """
    counts: np.ndarray = np.zeros((int(teacher_labels.max()) + 1, int(labels.max()) + 1))
    np.add.at(counts, (teacher_labels, labels), 1)
    counts = counts[counts.sum(axis=1) > 0]
    conditional = counts / counts.sum(axis=1, keepdims=True)
    seen = counts > 0
    return float((counts[seen] * np.log(conditional[seen])).sum() / len(labels))


def along_components(features: Vectors) -> np.ndarray:
    """Returns the features along their first 256 components, scaled to mean squared length 1 so that one penalty fits all."""
    first = np.asarray(features[np.arange(min(len(features), BLOCK))])
    if len(features) > min(first.shape[1], BLOCK):
        along = principal_components(features, _PROBE_COMPONENTS)
    else:
        left, eigenvalues = _spectrum(first - first.mean(axis=0))
        along = left[:, -_PROBE_COMPONENTS:] * np.sqrt(eigenvalues[-_PROBE_COMPONENTS:])
    length = float(np.sqrt(np.vdot(along, along) / len(along)))
    along /= max(length, float(np.finfo(np.float32).tiny))
    return along


def _spectrum(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the left singular vectors, float64 (n, r), and the squared singular values, ascending, float64 (r,).

    It uses the smaller Gram matrix, which takes a tenth of the time of a singular value decomposition.
    """
    rows = rows.astype(np.float64)
    n, d = rows.shape
    eigenvalues, vectors = np.linalg.eigh(rows @ rows.T if n <= d else rows.T @ rows)
    kept = eigenvalues > 1e-10 * eigenvalues[-1]
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    return (vectors if n <= d else rows @ vectors / np.sqrt(eigenvalues)), eigenvalues
