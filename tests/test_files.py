"""Tests of tl_keras.files."""

import errno

import pytest

from tl_keras.errors import WorkdirError
from tl_keras.files import made_once, reading, remove, replacing, writing


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_takes_the_place_of_another(tmp_path):
    path = tmp_path / "saved_model"
    for content in ("old", "new"):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_is_made_whole_and_by_the_first_who_makes_it(tmp_path):
    folder = tmp_path / "cache" / "made"
    with pytest.raises(ZeroDivisionError), made_once(folder, prefix=".making_") as scratch:
        (scratch / "file").write_text("half")
        raise ZeroDivisionError
    assert not folder.exists()
    with made_once(folder, prefix=".making_") as slow:
        (slow / "file").write_text("slow")
        with made_once(folder, prefix=".making_") as fast:
            (fast / "file").write_text("fast")
    assert (folder / "file").read_text() == "fast"
    assert list(folder.parent.iterdir()) == [folder]


def test_whatever_is_there_is_removed(tmp_path):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "missing"):
        remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "full"), "the disk is full while writing .*a.json"),
        (RuntimeError("write failed: No space left on device"), "the disk is full"),  # TensorFlow's
        (OSError("Unable to write (errno = 28)"), "the disk is full"),  # HDF5's
        (PermissionError(errno.EACCES, "no"), "cannot write .*a.json .*Use another --workdir"),
    ],
)
def test_what_a_disk_does_not_take_is_one_line(tmp_path, error, message):
    with pytest.raises(WorkdirError, match=message), writing(tmp_path / "a.json"):
        raise error


def test_a_mistake_of_ours_stays_what_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a.json"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error", [ValueError("bad header\nmore"), EOFError(), OSError(errno.EIO, "Input/output error")]
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, error):
    with (
        pytest.raises(WorkdirError, match=r"expected .*a\.npz as training wrote it") as raised,
        reading(tmp_path / "a.npz"),
    ):
        raise error
    assert "\n" not in str(raised.value)
