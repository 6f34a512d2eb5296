"""Tests of tl_keras.probes.vectors: what is computed in blocks is what is computed at once."""

import numpy as np

from tl_keras.probes import vectors
from tl_keras.probes.vectors import blocks, principal_components


def test_blocks_are_the_rows_in_order(monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 3)
    rows = np.arange(14.0).reshape(7, 2)
    assert [len(block) for block in blocks(rows)] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(list(blocks(rows, np.array([5, 1])))), rows[[5, 1]])


def test_the_components_are_those_of_a_singular_value_decomposition(monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 50)
    rows = np.random.default_rng(0).normal(size=(230, 6)) * [9, 1, 5, 3, 0, 2] + 100
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    found = principal_components(rows, 3)
    np.testing.assert_allclose(np.abs(found), np.abs((left * values)[:, 2::-1]), atol=1e-3)
    assert principal_components(rows, 99).shape == (230, 5)  # one column does not vary
