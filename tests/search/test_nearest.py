"""Tests of tl_keras.search.nearest against the products of all pairs in double precision."""

import os

import numpy as np
import pytest

from tl_keras.errors import DependencyError
from tl_keras.search import nearest
from tl_keras.search.nearest import Nearest


def vectors(count, dimension, *, decay):
    """Vectors whose components fall off as those of photos do, all positive as pooled features are."""
    random = np.random.default_rng(0)
    spread = np.arange(1, dimension + 1) ** -decay
    basis = np.linalg.qr(random.normal(size=(dimension, dimension)))[0]
    return np.abs(random.normal(size=(count, dimension)) * spread @ basis).astype(np.float32)


def brute_force(features, queries, count):
    unit, asked = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in map(np.float64, (features, queries)))
    return np.argsort(-(asked @ unit.T), axis=1, kind="stable")[:, :count]


@pytest.mark.parametrize(
    ("decay", "queries", "bounded"),
    [(0.0, 1, False), (0.0, 9, False), (1.0, 1, True), (0.0, 1, True), (1.0, 9, True)],
    ids=["one", "many", "bounded", "bounded in vain", "bounded many"],
)
def test_the_nearest_are_exact(monkeypatch, decay, queries, bounded):
    """Whether bounds leave few vectors, leave nearly all, or are not asked; blocks end inside the table."""
    monkeypatch.setattr(nearest, "_BLOCK", 700)
    monkeypatch.setattr(nearest, "_DIRECTIONS", 16)
    monkeypatch.setattr(nearest, "_MANY", 500 if bounded else 10_000)
    features = vectors(3000, 64, decay=decay)
    asked = features[:queries] + 0.02
    near = Nearest(features.copy())
    rows, cosines = near(asked, 10)
    np.testing.assert_array_equal(rows, brute_force(features, asked, 10))
    assert near.recall == 1.0 and (near._bound is not None) == bounded
    assert (np.diff(cosines, axis=1) <= 0).all() and cosines.max() <= 1.0001


def test_more_than_there_are_and_a_vector_of_zeros():
    near = Nearest(np.array([[1, 0], [0, 0], [0, 2]], np.float32))
    rows, cosines = near(np.array([[0, 1]], np.float32), 9)
    assert rows.tolist() == [[2, 0, 1]]
    assert cosines.tolist() == [[1, 0, 0]]


def test_beyond_the_exact_faiss_finds_nearly_all_says_its_recall_and_keeps_its_lists(monkeypatch, tmp_path, capsys):
    pytest.importorskip("faiss", reason="pip install 'tl_keras[search]'")
    monkeypatch.setattr(nearest, "EXACT_UP_TO", 1000)
    features = vectors(4000, 32, decay=0.5)
    file = tmp_path / "features.npz"
    file.touch()
    near = Nearest(features.copy(), beside=file)
    assert 0.95 <= near.recall <= 1
    rows, _ = near(features[:50] + 0.01, 5)
    exact = brute_force(features, features[:50] + 0.01, 5)
    assert np.mean([np.isin(one, other).mean() for one, other in zip(exact, rows, strict=True)]) > 0.9
    assert "sorted into 63 lists" in capsys.readouterr().err
    again = Nearest(features.copy(), beside=file)
    np.testing.assert_array_equal(again(features[:50] + 0.01, 5)[0], rows)
    assert "sorted" not in capsys.readouterr().err
    os.truncate(tmp_path / "features.npz.faiss", 100)
    assert Nearest(features.copy(), beside=file).recall >= 0.95  # a damaged one is built again


def test_without_faiss_the_remedy_is_one_line(monkeypatch):
    monkeypatch.setattr(nearest, "EXACT_UP_TO", 3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'tl_keras\[search\]'"):
        Nearest(np.eye(4, dtype=np.float32))
