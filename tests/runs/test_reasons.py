"""Tests of tl_keras.runs.reasons."""

from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import add_decisions, read_decisions, write_decisions


def test_reasons_are_kept_beside_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert read_decisions(run) == []
    write_decisions(run, ["resize squash: …", "recipe: …"])
    assert read_decisions(run) == ["resize squash: …", "recipe: …"]


def test_reasons_are_added_once(tmp_path):
    run = RunDirectory(tmp_path / "run")
    add_decisions(run, [])
    assert not run.path.exists()
    add_decisions(run, ["mirrored: …"])
    add_decisions(run, ["mirrored: …", "turned: …"])
    assert read_decisions(run) == ["mirrored: …", "turned: …"]
