"""Tests of tl_keras.runs.folds: a directory remembers that its run is trained by folds."""

import pytest

from tl_keras.errors import TransferError, WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.folds import begin_folds, folds_begun, require_no_folds


def test_a_directory_belongs_to_one_number_of_folds(tmp_path):
    run = RunDirectory(tmp_path / "run")
    require_no_folds(run)
    assert folds_begun(run) == 0
    for _ in range(2):
        begin_folds(run, 5)
    assert folds_begun(run) == 5
    with pytest.raises(WorkdirError, match="begun with 5 folds"):
        begin_folds(run, 3)
    with pytest.raises(WorkdirError, match="Use --folds=5 to continue"):
        require_no_folds(run)


def test_a_run_without_folds_stays_one(tmp_path):
    (tmp_path / "config.json").write_text('{"config": {}, "data_hash": ""}')
    with pytest.raises(WorkdirError, match="begun with no folds"):
        begin_folds(RunDirectory(tmp_path), 5)


def test_a_damaged_record_is_one_line(tmp_path):
    (tmp_path / "folds.json").write_text("{")
    with pytest.raises(TransferError, match=r"folds\.json"):
        folds_begun(RunDirectory(tmp_path))
