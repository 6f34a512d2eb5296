"""Works through tables of vectors in blocks, so that millions of rows never lie in memory together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

# Number of rows in a block: 16 MiB of 2,048 features.
BLOCK = 2048

# Number of rows up to which a table is held in memory as it is, and number of its components that are held of a larger one.
_WHOLE, COMPONENTS = 20_000, 256


class Vectors(Protocol):
    """A table of vectors whose rows are read in parts, such as a NumPy array or rows of a cache."""

    def __len__(self) -> int:
        """Returns the number of rows."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """Returns some rows, float (k, d)."""


def blocks(vectors: Vectors, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yields some rows of a table, or all, in blocks, float32 (k, d)."""
    rows = np.arange(len(vectors)) if rows is None else rows
    for start in range(0, len(rows), BLOCK):
        yield np.asarray(vectors[rows[start : start + BLOCK]], np.float32)


def principal_components(vectors: Vectors, count: int) -> np.ndarray:
    """Returns the centred rows along the directions of the largest variance, float32 (n, at most `count`), the largest last.

    It reads the table three times and holds no more than a block of it, two matrices (d, d) and the result.

    Args:
      vectors: Table of at least one row.
      count: Largest number of directions.
    """
    mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(vectors)) / len(vectors)
    gram: np.ndarray = np.zeros((len(mean), len(mean)))
    for block in blocks(vectors):
        centred = block - mean.astype(np.float32)
        gram += centred.T @ centred
    eigenvalues, directions = np.linalg.eigh(gram)
    kept = directions[:, eigenvalues > 1e-10 * eigenvalues[-1]][:, -count:].astype(np.float32)
    return np.concatenate([(block - mean.astype(np.float32)) @ kept for block in blocks(vectors)])


def in_memory(vectors: Vectors) -> np.ndarray:
    """Returns a table as an array, float32 (n, d); of more than 20,000 rows their first 256 components, which is nearly all."""
    if len(vectors) > _WHOLE:
        return principal_components(vectors, COMPONENTS)
    return np.asarray(vectors[np.arange(len(vectors))], np.float32)


def directions(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns features as seen from their mean, scaled to length 1, float32 (n, d).

    Pooled features are positive, so that all images look alike from the origin: seen from there, 165 labels of CIFAR-10 are worth
    200 drawn at random, seen from the mean 98.

    Args:
      features: float32 (n, d), pooled.
      mean: float32 (d,), mean of the images to choose from.
    """
    centred = features - mean
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(np.float32).tiny)
