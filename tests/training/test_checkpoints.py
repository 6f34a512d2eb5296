"""Tests of tl_keras.training.checkpoints."""

import keras
import numpy as np
import pytest

from tl_keras.errors import WorkdirError
from tl_keras.training.checkpoints import Progress, read_checkpoint, restore, save_checkpoint, values_of


def variables(*values):
    return [keras.Variable(np.asarray(value)) for value in values]


def test_values_come_back_bit_for_bit(tmp_path):
    saved = values_of(variables(np.float32([1 / 3, np.pi]), np.int64(7), np.uint32([1, 2**32 - 1])))
    save_checkpoint(tmp_path / "c.npz", values=saved, kept=saved[:1], progress=Progress())
    checkpoint = read_checkpoint(tmp_path / "c.npz")
    for before, after in zip([*saved, saved[0]], [*checkpoint.values, *checkpoint.kept], strict=True):
        np.testing.assert_array_equal(before, after)


def test_values_go_back_into_variables(tmp_path):
    targets = variables(np.float32([0, 0]), np.int64(0))
    restore(tmp_path, targets, [np.float32([1, 2]), np.int64(3)])
    assert [np.asarray(variable).tolist() for variable in targets] == [[1.0, 2.0], 3]


def test_progress_comes_back(tmp_path):
    progress = Progress(
        phase=1, phase_epochs=2, phase_best_score=(0.5, -1.25), kept_phase="head", history=[{"epoch": 1}]
    )
    save_checkpoint(tmp_path / "c.npz", values=[], kept=[], progress=progress)
    assert read_checkpoint(tmp_path / "c.npz").progress == progress


def test_without_a_file_there_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "c.npz") is None


def test_the_start_of_a_phase_keeps_the_runs_best_and_forgets_the_phases():
    progress = Progress(phase=0, phase_epochs=3, phase_over=True, phase_best_score=(1.0, 0.0), best_accuracy=1.0)
    assert progress.at_start_of(1) == Progress(phase=1, best_accuracy=1.0)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "c.npz"
    save_checkpoint(path, values=[np.zeros(1000, np.float32)], kept=[], progress=Progress())
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WorkdirError, match=r"c\.npz is damaged"):
        read_checkpoint(path)


def test_values_of_another_model_are_refused(tmp_path):
    with pytest.raises(WorkdirError, match="another model"):
        restore(tmp_path / "c.npz", variables(np.zeros(4)), [np.zeros(3)])
