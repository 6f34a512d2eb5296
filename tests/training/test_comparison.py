"""Tests of tl_keras.training.comparison."""

import pathlib

import numpy as np
import pytest

from tl_keras.config import quick_start
from tl_keras.training.comparison import MethodResult, compare_methods, table


def test_the_table_has_a_row_a_method_with_its_spread():
    row = MethodResult("fine_tune", (pathlib.Path("a"),), np.array([0.5, 0.7]), "test", np.array([1.0, 3.0]), 12345)
    lines = table((row,)).splitlines()
    assert "test accuracy" in lines[0]
    assert lines[1].split() == ["fine_tune", "0.600", "±", "0.141", "2.0", "12,345"]


@pytest.mark.slow
def test_the_embedded_teacher_beats_training_from_scratch_over_five_seeds(tmp_path):
    rows = {row.method: row for row in compare_methods(quick_start(), tmp_path, seeds=5, processes=2)}
    for method in ("feature_extraction", "fine_tune"):
        assert rows[method].accuracies.min() > rows["replicate"].accuracies.max() + 0.2
