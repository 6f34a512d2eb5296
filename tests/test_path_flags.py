"""Tests of tl_keras.path_flags: a flag that names a file or folder knows the home, which no shell puts there."""

import pathlib
import re

import pytest

from tl_keras.path_flags import PathParser

COMMANDS = sorted((pathlib.Path(__file__).resolve().parent.parent / "tl_keras").glob("*.py"))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~/run1", "/home/me/run1"),
        ("./runs/a~b/", "./runs/a~b/"),
        ("", ""),
        ("~nobody_of_that_name/x", "~nobody_of_that_name/x"),
    ],
)
def test_the_home_is_put_in_and_all_else_stays_as_it_is(given, path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert PathParser().parse(given) == path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.stem)
def test_no_path_is_a_flag_of_another_kind(command):
    paths = "workdir|pruned_workdir|teacher_run|out|page|write_splits|model|reference|texts|token_file|index|query"
    assert not re.findall(rf'flags\.DEFINE_\w+\(\s*"(?:{paths})"', command.read_text(encoding="utf-8"))
