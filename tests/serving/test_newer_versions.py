"""Tests of tl_keras.serving.newer_versions; `test_server.py` has the server that takes a newer version."""

import asyncio
import os
import pathlib
import shutil
import types

import pytest

from tl_keras.serving.newer_versions import NewerVersions


@pytest.fixture
def folder(tmp_path):
    """A run directory with one version of a SavedModel, and without another export."""
    write(tmp_path / "saved_model" / "1" / "saved_model.pb")
    return tmp_path


def write(file: pathlib.Path, content: bytes = b"graph"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def ready(version):
    """Loads a version as a runtime does: any error may come of a file that is empty or missing."""
    (version / "saved_model.pb").read_bytes()[0]
    (version.parents[1] / "openvino" / version.name / "model.xml").read_bytes()
    return types.SimpleNamespace(number=int(version.name))


def number_after_two_looks(newer):
    """Returns the number of the version that is found; the first look tells only which files are there."""
    asyncio.run(newer.look(1))
    found = asyncio.run(newer.look(1))
    return found and found.number


def test_a_version_of_which_any_error_comes_is_named_once_and_taken_when_it_is_mended(folder, capfd):
    newer = NewerVersions(folder / "saved_model", ready=ready)
    write(folder / "saved_model" / "2" / "saved_model.pb", b"")
    assert number_after_two_looks(newer) is None
    assert "version 2 is not served, and version 1 answers on: index out of range" in capfd.readouterr().err
    assert number_after_two_looks(newer) is None
    assert capfd.readouterr().err == ""
    write(folder / "saved_model" / "2" / "saved_model.pb")
    write(folder / "openvino" / "2" / "model.xml")
    assert number_after_two_looks(newer) == 2


def test_a_version_that_waits_for_its_other_export_is_taken_once_that_is_there(folder):
    newer = NewerVersions(folder / "saved_model", beside=[folder / "openvino"], ready=ready)
    write(folder / "saved_model" / "2" / "saved_model.pb")
    assert number_after_two_looks(newer) is None
    write(folder / "openvino" / "2" / "model.xml")
    assert number_after_two_looks(newer) == 2


def test_what_is_still_copied_is_not_loaded(folder):
    newer = NewerVersions(folder / "saved_model", ready=ready)
    write(folder / "openvino" / "2" / "model.xml")
    write(folder / "saved_model" / "2" / "saved_model.pb")
    assert asyncio.run(newer.look(1)) is None
    write(folder / "saved_model" / "2" / "variables.data")
    assert asyncio.run(newer.look(1)) is None
    assert asyncio.run(newer.look(1)).number == 2


def test_a_version_that_vanishes_during_a_look_does_not_end_the_watch(folder, monkeypatch):
    newer = NewerVersions(folder / "saved_model", ready=ready)
    write(folder / "saved_model" / "2" / "variables" / "data")
    listed = os.scandir

    def vanishing(path):
        if pathlib.Path(path).name == "variables":
            monkeypatch.undo()
            shutil.rmtree(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert asyncio.run(newer.look(1)) is None
