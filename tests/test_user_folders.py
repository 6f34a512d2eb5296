"""Tests of tl_keras.user_folders: homes that cannot be written, also by who may write everything."""

import os
import pathlib

import pytest

from tl_keras.runs.directory import RunDirectory
from tl_keras.user_folders import cache_folder, keras_home

# A folder of the kernel's in which nothing can be made, a device in the place of a folder, and a home that nobody has.
HOMES = {"a folder of the kernel": "/proc", "a device": "/dev/null", "that of nobody": "~nobody_of_that_name"}


def test_the_cache_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "tl_keras"
    assert cache_folder("~/x") == tmp_path / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "tl_keras"


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_where_the_home_cannot_be_written_a_temporary_folder_takes_its_place(home, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", f"{home}/{os.getpid()}")
    folder = cache_folder()
    assert cache_folder() == folder
    (folder / "file").write_text("written")
    said = capsys.readouterr().err
    assert said.startswith(f"cache: {home}/")
    assert said.count("\n") == 1
    assert "--cache_dir=FOLDER" in said
    assert not list(pathlib.Path().glob("~*"))


def test_keras_has_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert keras_home() == tmp_path / ".keras"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "x"))
    assert keras_home() == tmp_path / "x"


def test_a_run_may_be_named_by_a_home_that_nobody_has():
    assert str(RunDirectory("~nobody_of_that_name/run1").path) == "~nobody_of_that_name/run1"
