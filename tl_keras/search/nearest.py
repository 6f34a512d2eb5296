"""Finds the nearest of many vectors by their cosine: exactly up to a million, by FAISS beyond."""

from __future__ import annotations

import contextlib
import importlib.util
import pathlib
from typing import Any

import numpy as np
from scipy.linalg import eigh

from tl_keras.console import say
from tl_keras.errors import DependencyError
from tl_keras.files import replacing

# Number of vectors up to which the answer is exact.
EXACT_UP_TO = 1_000_000

# Number of rows of a block of products: the scores of 32 queries take 4 MiB.
_BLOCK = 32_768

# Number of vectors from which on a bound is asked first, and of directions that it takes. Reading 100,000 vectors of 1,280
# components takes 51 ms on two cores whatever is computed of them; with a bound by 128 directions a query takes a third of that,
# and compares some 140 of 100,000 as a whole. With 64 some queries compare 12,000.
_MANY, _DIRECTIONS = 20_000, 128

# Number of vectors from which those directions are found.
_SAMPLE = 4096

# Rounding of a product of unit vectors in float32, with a margin.
_ROUNDING = 1e-5

# Part of all vectors above which comparing all of them takes less than picking some.
_FEW = 0.1

# Queries and neighbours by which FAISS's recall is measured, the recall that is enough, and the number of candidates for each
# neighbour, which are compared exactly.
_ASKED, _NEIGHBOURS, _ENOUGH, _CANDIDATES = 100, 10, 0.95, 8


class Nearest:
    """Answers which of some vectors are nearest to others.

    Args:
      features: Vectors, float32 (n, d); they are scaled to length 1 in place.
      beside: File that the vectors are from, beside which FAISS keeps its index; None keeps none.

    Attributes:
      recall: Part of the ten nearest that are found, measured on a hundred of the vectors; 1.0 where the answer is exact.

    Raises:
      DependencyError: There are more than a million, and FAISS is not installed.
    """

    def __init__(self, features: np.ndarray, *, beside: pathlib.Path | None = None):
        self._unit = _to_unit_length(features)
        self._approximate: Any = None
        self._bound: _Bound | None = None
        if _MANY < len(features) <= EXACT_UP_TO and features.shape[1] > 2 * _DIRECTIONS:
            self._bound = _Bound(self._unit)
        self.recall = 1.0
        if len(features) > EXACT_UP_TO:
            self._approximate = _faiss_index(self._unit, beside)
            self.recall = self._probe_until_enough()

    def __call__(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of the nearest vectors, int64 (m, k), nearest first, and their cosines, float32 (m, k).

        Args:
          queries: Vectors, float32 (m, d).
          count: Number of vectors to return for each; k is at most n.
        """
        asked, count = _to_unit_length(np.array(queries, np.float32)), min(count, len(self._unit))
        if self._approximate is not None:
            found = [self._among(row, query, count) for row, query in zip(*self._candidates(asked, count), strict=True)]
        elif self._bound is not None and len(asked) < 8:
            found = [self._bounded(query, count) for query in asked]
        else:
            return self._among_all(asked, count)
        return np.stack([rows for rows, _ in found]), np.stack([cosines for _, cosines in found])

    def _among(self, rows: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest among some rows, int64 (count,), with their cosines; of equals the first row."""
        cosines = self._unit[rows] @ query
        order = np.lexsort((rows, -cosines))[:count]
        return rows[order], cosines[order]

    def _bounded(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest, exactly: what cannot be among them by its bound is not looked at."""
        assert self._bound is not None
        most = self._bound(query)
        likely = np.argpartition(-most, count - 1)[:count]
        least = float((self._unit[likely] @ query).min()) - _ROUNDING
        possible = np.flatnonzero(most >= least)
        if len(possible) > _FEW * len(most):
            rows, cosines = self._among_all(query[np.newaxis], count)
            return rows[0], cosines[0]
        return self._among(possible, query, count)

    def _among_all(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest of all, by products of blocks."""
        best = [(np.zeros(0, np.int64), np.zeros(0, np.float32))] * len(queries)
        for first in range(0, len(self._unit), _BLOCK):
            scores = queries @ self._unit[first : first + _BLOCK].T
            for asked, row in enumerate(scores):
                some = np.argpartition(-row, count - 1)[:count] if len(row) > count else np.arange(len(row))
                rows = np.concatenate([best[asked][0], first + some])
                cosines = np.concatenate([best[asked][1], row[some]])
                order = np.lexsort((rows, -cosines))[:count]
                best[asked] = (rows[order], cosines[order])
        return np.stack([rows for rows, _ in best]), np.stack([cosines for _, cosines in best])

    def _candidates(self, queries: np.ndarray, count: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Returns the rows that FAISS finds for each query, and the queries."""
        _, rows = self._approximate.search(queries, max(_CANDIDATES * count, count))
        return [np.unique(row[row >= 0]) for row in rows], queries

    def _probe_until_enough(self) -> float:
        """Has FAISS look at more lists until it finds enough of the nearest; returns the part that it finds."""
        asked = self._unit[np.random.default_rng(0).permutation(len(self._unit))[:_ASKED]]
        exact, _ = self._among_all(asked, _NEIGHBOURS)
        while True:
            found, _ = self(asked, _NEIGHBOURS)
            recall = float(np.mean([np.isin(one, other).mean() for one, other in zip(exact, found, strict=True)]))
            if recall >= _ENOUGH or self._approximate.nprobe >= self._approximate.nlist:
                return recall
            self._approximate.nprobe *= 2


class _Bound:
    """The largest cosine that each vector can have with another, from its part along the directions that hold most of all vectors.

    By the inequality of Cauchy and Schwarz the rests of two vectors add at most the product of their lengths.
    """

    def __init__(self, unit: np.ndarray):
        sample = unit[np.random.default_rng(0).permutation(len(unit))[:_SAMPLE]]
        last = unit.shape[1] - 1
        _, directions = eigh(sample.T @ sample, subset_by_index=(last - _DIRECTIONS + 1, last))
        self._directions = np.ascontiguousarray(directions, np.float32)
        self._along = np.concatenate(
            [unit[first : first + _BLOCK] @ self._directions for first in range(0, len(unit), _BLOCK)]
        )
        self._rest = _length_of_rest(self._along)

    def __call__(self, query: np.ndarray) -> np.ndarray:
        along = query @ self._directions
        return self._along @ along + self._rest * _length_of_rest(along[np.newaxis])


def _length_of_rest(along: np.ndarray) -> np.ndarray:
    """Returns the length of what unit vectors have besides a part, float32 (n,), rounded up."""
    return np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", along, along), 0) + _ROUNDING**2)


def _to_unit_length(vectors: np.ndarray) -> np.ndarray:
    """Scales vectors to length 1 in place; one of zeros stays."""
    for first in range(0, len(vectors), _BLOCK):
        block = vectors[first : first + _BLOCK]
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors


def _faiss_index(unit: np.ndarray, beside: pathlib.Path | None) -> Any:
    """Returns FAISS's index of the vectors, in lists of bytes; one that was built before is read."""
    if importlib.util.find_spec("faiss") is None:
        raise DependencyError(
            f"index: expected FAISS for more than {EXACT_UP_TO:,} images. Received: {len(unit):,} without it. "
            "Run: pip install 'tl_keras[search]'"
        )
    import faiss

    kept = beside.with_name(f"{beside.name}.faiss") if beside else None
    if kept and beside and kept.is_file() and kept.stat().st_mtime_ns >= beside.stat().st_mtime_ns:
        with contextlib.suppress(RuntimeError):  # a damaged one is built again
            built: Any = faiss.read_index(str(kept))
            if (built.ntotal, built.d) == unit.shape:
                return built
    lists = int(len(unit) ** 0.5)
    say(f"index: {len(unit):,} vectors are sorted into {lists:,} lists by FAISS, once")
    index: Any = faiss.index_factory(unit.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(unit[np.sort(np.random.default_rng(0).permutation(len(unit))[: 40 * lists])])
    for first in range(0, len(unit), _BLOCK):
        index.add(unit[first : first + _BLOCK])
    index.nprobe = max(1, lists // 64)
    if kept:
        with replacing(kept) as temporary:
            faiss.write_index(index, str(temporary))
    return index
