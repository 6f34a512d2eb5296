"""Tests of tl_keras.training.checkpoints."""

import keras
import numpy as np
import pytest

from tl_keras.errors import WorkdirError
from tl_keras.training.checkpoints import Progress, read_progress, restore_variables, save_checkpoint


def variables(*values):
    return [keras.Variable(np.asarray(value)) for value in values]


def test_variables_come_back_bit_for_bit(tmp_path):
    saved = variables(np.float32([1 / 3, np.pi]), np.int64(7), np.uint32([1, 2**32 - 1]))
    save_checkpoint(tmp_path / "c.npz", variables=saved, progress=Progress())
    restored = variables(np.float32([0, 0]), np.int64(0), np.uint32([0, 0]))
    restore_variables(tmp_path / "c.npz", restored)
    for before, after in zip(saved, restored, strict=True):
        np.testing.assert_array_equal(before, after)


def test_progress_comes_back(tmp_path):
    progress = Progress(phase=1, phase_epochs=2, best_score=(0.5, -1.25), best_phase="head", history=[{"epoch": 1}])
    save_checkpoint(tmp_path / "c.npz", variables=[], progress=progress)
    assert read_progress(tmp_path / "c.npz") == progress


def test_without_a_file_there_is_no_progress(tmp_path):
    assert read_progress(tmp_path / "c.npz") is None


def test_the_start_of_a_phase_keeps_the_runs_best_and_forgets_the_phases(tmp_path):
    progress = Progress(phase=0, phase_epochs=3, phase_over=True, phase_best_score=(1.0, 0.0), best_score=(1.0, 0.0))
    assert progress.at_start_of(1) == Progress(phase=1, best_score=(1.0, 0.0))


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "c.npz"
    save_checkpoint(path, variables=variables(np.zeros(1000, np.float32)), progress=Progress())
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WorkdirError, match=r"c\.npz is damaged"):
        read_progress(path)


def test_variables_of_another_model_are_refused(tmp_path):
    save_checkpoint(tmp_path / "c.npz", variables=variables(np.zeros(3)), progress=Progress())
    with pytest.raises(WorkdirError, match="another model"):
        restore_variables(tmp_path / "c.npz", variables(np.zeros(4)))
