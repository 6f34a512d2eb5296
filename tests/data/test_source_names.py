"""Tests of tl_keras.data.source_names."""

import pathlib
import subprocess
import sys

import pytest

from tl_keras.data.source_names import check_source, is_absent, parse_source_name
from tl_keras.errors import DataError, DependencyError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    for name in ("a.csv", "a.npz", "a.zip", "a.TAR.GZ", "a.parquet"):
        (tmp_path / name).touch()
    return tmp_path


NAMES = {
    "digits": ("digits", ""),
    "~/photos": ("folder", "{}/photos"),
    "csv:~/a.csv": ("csv", "{}/a.csv"),
    "npz:~/a.npz": ("npz", "{}/a.npz"),
    "parquet:~/a.parquet": ("parquet", "{}/a.parquet"),
    "~/a.zip": ("archive", "{}/a.zip"),
    "~/a.TAR.GZ": ("archive", "{}/a.TAR.GZ"),
    "tfds:mnist/x:1.0.0": ("tfds", "mnist/x:1.0.0"),
    "tfrecord:~/x[1]/*.tfrecord": ("tfrecord", "{}/x[1]/*.tfrecord"),
    "webdataset:~/*.tar": ("webdataset", "{}/*.tar"),
    "https://x.org/a.zip": ("remote", "https://x.org/a.zip"),
}


@pytest.mark.parametrize(("name", "parts"), NAMES.items(), ids=list(NAMES))
def test_names(home, name, parts):
    assert parse_source_name(name) == (parts[0], parts[1].format(home))


def test_a_path_is_taken(home):
    assert parse_source_name(pathlib.Path(home, "photos")) == ("folder", str(home / "photos"))


REFUSED = {
    "ftp://x.org/a.zip": "expected one of gs://.* Received ftp://",
    "tfrecords:a": r"Received the kind tfrecords\. Did you mean tfrecord",
    "csv:~/none.csv": "expected a csv file",
    "csv:https://x.org/a.csv": "expected a file on this machine",
    "~/a.csv": "Received a file. Use csv:",
    "a" * 300: r"does not exist",
    "~/fotos": r"does not exist\. Did you mean photos\?",
}


@pytest.mark.parametrize(("name", "message"), REFUSED.items(), ids=list(REFUSED))
def test_what_is_no_source_is_named(home, name, message):
    with pytest.raises(DataError, match=message):
        check_source(name)


def test_a_package_that_is_absent_is_named(home):
    pytest.importorskip("fsspec")
    with pytest.raises(
        DependencyError, match=r"read with s3fs, which is not installed. Run: pip install 'tl_keras\[remote\]'"
    ):
        parse_source_name("s3://bucket/photos")


def test_a_wrong_scheme_is_said_before_tensorflow_is_imported():
    code = (
        "import sys; from tl_keras.data.source_names import parse_source_name\n"
        "try: parse_source_name('ftp://x/y')\n"
        "except Exception as error: print(error)\n"
        "print('tensorflow' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[1] == "False"


ABSENT = {
    "digits": False,
    "~/photos": False,
    "~/fotos": True,
    "arrays": True,
    "csv:~/a.csv": False,
    "csv:~/b.csv": True,
    "tfrecord:~/*.csv": False,
    "tfrecord:~/*.tfrecord": True,
    "webdataset:~/*.tar": True,
    "tfds:mnist": True,
    "unknown:kind": True,
}


@pytest.mark.parametrize(("name", "absent"), ABSENT.items(), ids=list(ABSENT))
def test_what_is_not_there_is_known_without_an_error(home, name, absent):
    assert is_absent(name) is absent
