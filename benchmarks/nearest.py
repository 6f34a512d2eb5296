"""How long a query takes among many vectors, and how many of the nearest are found.

    python -m tl_keras.embed --data=flowers5 --backbone=MobileNetV2 --out=features.npz
    python -m benchmarks.nearest --index=features.npz --images=100000

The vectors are mixtures of three of the index's with a tenth of noise, so that they have the spectrum of photos; queries are some
of them with more noise. Recall is against the products of all pairs in double precision, for ten neighbours. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time

import numpy as np

from tl_keras.search.index import read_index
from tl_keras.search.nearest import Nearest

_QUERIES, _NEIGHBOURS, _BLOCK = 50, 10, 20_000


def mixtures(known: np.ndarray, count: int) -> np.ndarray:
    """Returns vectors like some that are known, float32 (count, d)."""
    random, spread = np.random.default_rng(0), known.std()
    made = np.empty((count, known.shape[1]), np.float32)
    for first in range(0, count, _BLOCK):
        block = made[first : first + _BLOCK]
        weights = random.dirichlet(np.full(3, 0.6), len(block)).astype(np.float32)
        block[:] = random.standard_normal(block.shape, np.float32) * (0.1 * spread)
        for part, chosen in enumerate(random.integers(0, len(known), (3, len(block)))):
            block += weights[:, part : part + 1] * known[chosen]
        np.maximum(block, 0, out=block)
    return made


def brute_force(features: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Returns the rows of the nearest, int64 (m, 10), by products in double precision."""
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    scores = []
    for first in range(0, len(features), _BLOCK):
        block = features[first : first + _BLOCK].astype(np.float64)
        scores.append(asked.astype(np.float64) @ (block / np.linalg.norm(block, axis=1, keepdims=True)).T)
    return np.argsort(-np.concatenate(scores, axis=1), axis=1, kind="stable")[:, :_NEIGHBOURS]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    known = read_index(options.index).features
    features = mixtures(known, options.images)
    random = np.random.default_rng(1)
    queries = features[random.integers(0, len(features), _QUERIES)]
    queries = queries + random.standard_normal(queries.shape, np.float32) * (0.3 * known.std())
    expected = brute_force(features, queries)
    began, computed = time.perf_counter(), time.process_time()
    nearest = Nearest(features)
    opening, processor = time.perf_counter() - began, time.process_time() - computed
    seconds, found = [], []
    for query in queries:
        began = time.perf_counter()
        rows, _ = nearest(query[np.newaxis], _NEIGHBOURS)
        seconds.append(time.perf_counter() - began)
        found.append(np.isin(expected[len(found)], rows[0]).mean())
    median, slow = np.quantile(seconds, [0.5, 0.9]) * 1e3
    cells = {
        "vectors": f"{len(features):,} of {features.shape[1]}",
        "ms a query, median": f"{median:.0f}",
        "ms, one in ten over": f"{slow:.0f}",
        "recall of 10": f"{np.mean(found):.3f}",
        "s to open": f"{opening:.1f} ({processor:.1f} of processor)",
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    for line in (cells, ["---"] * len(cells), cells.values()):
        print("|", " | ".join(map(str, line)), "|")


if __name__ == "__main__":
    main()
