"""Tests of tl_keras.runs.reasons."""

from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import read_decisions, write_decisions


def test_reasons_are_kept_beside_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert read_decisions(run) == []
    write_decisions(run, ["resize squash: …", "recipe: …"])
    assert read_decisions(run) == ["resize squash: …", "recipe: …"]
