"""Finds clusters among images without labels, and names them by what the network takes their images for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from scipy.special import softmax
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import silhouette_score

from tl_keras.advice.teacher_scores import commonest, imagenet_names
from tl_keras.builder import load_top
from tl_keras.probes.vectors import Vectors, blocks, principal_components
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.training.embedding import Embedder

# Numbers of clusters that are tried, images by which they are compared, and the part of the best silhouette that is enough. The
# largest such number is taken, since a person joins two clusters more easily than they part one: with MobileNetV2 12 of five kinds
# of flowers (adjusted mutual information 0.46, 0.43 with the best silhouette's 4) and 8 of CIFAR-10's ten classes (0.38; 0.28 with
# its 2). HDBSCAN calls more than half of these images noise.
_NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30)
_COMPARED, _ENOUGH = 2_000, 0.8

# Directions of the largest variance along which images are clustered, and the fewest images of a cluster on average.
_COMPONENTS, _FEWEST = 32, 4

# Number of images from which clusters are found from a part of them at a time.
_MANY = 20_000

# Part of a cluster that a class has to be seen in to name it, and the largest number of names.
_SEEN, _NAMES = 0.1, 3


class UnitVectors:
    """A table of vectors, each scaled to length 1 when it is read.

    Args:
      vectors: The table.
    """

    def __init__(self, vectors: Vectors):
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Returns some rows, float32 (k, d)."""
        some = np.asarray(self._vectors[rows], np.float32)
        return some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def find_clusters(features: Vectors, *, number: int = 0, seed: int = 0) -> list[np.ndarray]:
    """Returns the images of each cluster, int64 (k,), the largest cluster first, and in it the image nearest to its middle.

    Clusters are those of k-means along the 32 directions of the largest variance of the scaled features.

    Args:
      features: Features of n images, float32 (n, d).
      number: Number of clusters; 0 chooses from 2 to 30 by their silhouettes (Rousseeuw 1987).
      seed: Seed of the first centres.
    """
    most = max(1, len(features) // _FEWEST)
    if most < 2:
        return [np.arange(len(features))]
    points = principal_components(UnitVectors(features), _COMPONENTS)
    compared = np.sort(np.random.default_rng(seed).permutation(len(points))[:_COMPARED])
    method = MiniBatchKMeans if len(points) > _MANY else KMeans
    tried, scores = [], []
    for count in (min(number, len(points)),) if number else (each for each in _NUMBERS if each <= most):
        found = method(count, n_init=3, random_state=seed).fit(points)
        labels = found.labels_[compared]
        several = 1 < len(np.unique(labels)) < len(labels)
        tried.append(found)
        scores.append(float(silhouette_score(points[compared], labels)) if several else -1.0)
    best = tried[np.flatnonzero(np.array(scores) >= _ENOUGH * max(scores))[-1] if max(scores) > 0 else 0]
    distances = np.linalg.norm(points - best.cluster_centers_[best.labels_], axis=1)
    clusters = [np.flatnonzero(best.labels_ == label) for label in range(len(best.cluster_centers_))]
    ordered = [members[np.argsort(distances[members], kind="stable")] for members in clusters if len(members)]
    return sorted(ordered, key=lambda members: (-len(members), members[0]))


def names_of_clusters(embedder: Embedder, features: Vectors, clusters: Sequence[np.ndarray]) -> list[str]:
    """Returns for each cluster the classes that the network takes its images for, with their shares; empty if it knows none.

    A run answers by its own classes, a teacher with its ImageNet weights by the thousand of its top, where that file is present.

    Args:
      embedder: Network of the features.
      features: Features of n images, float32 (n, d).
      clusters: Images of each cluster, from `find_clusters`.
    """
    found = _answers(embedder, features)
    if found is None:
        return [""] * len(clusters)
    answers, names = found
    seen = [commonest(answers[members], names, most=_NAMES) for members in clusters]
    return [", ".join(f"{name} {share:.0%}" for name, share in each if share >= _SEEN) for each in seen]


def _answers(embedder: Embedder, features: Vectors) -> tuple[np.ndarray, Sequence[str]] | None:
    """Returns the class of each image, int64 (n,), and the names of the classes."""
    if embedder.trained is not None:
        trained = embedder.trained
        if trained.task.label_kind != "class":
            return None
        head = keras.Model(trained.model.get_layer(FEATURES_LAYER).output, trained.model.output)
        return np.concatenate([np.argmax(head(block), axis=1) for block in blocks(features)]), trained.class_names
    top = load_top(embedder.teacher) if embedder.teacher is not None else None
    if top is None:
        return None
    return np.concatenate(list(_by_top(features, *top))), imagenet_names()


def _by_top(features: Vectors, kernel: np.ndarray, bias: np.ndarray) -> Iterator[np.ndarray]:
    for block in blocks(features):
        yield softmax(block @ kernel + bias, axis=1).argmax(axis=1)
