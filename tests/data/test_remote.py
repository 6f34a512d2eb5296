"""Tests of tl_keras.data.remote, with a server on this machine and fsspec's file system in memory."""

import functools
import http.server
import os
import pathlib
import threading
import zipfile

import pytest

from tl_keras.data.remote import fetch
from tl_keras.errors import DataError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def server(tmp_path):
    """The address of a server of the files in `tmp_path/served`."""
    pytest.importorskip("aiohttp")
    (tmp_path / "served").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    handler.log_message = lambda *arguments: None
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


def test_an_archive_is_copied_once_until_it_changes(server, tmp_path):
    with zipfile.ZipFile(tmp_path / "served" / "a.zip", "w") as opened:
        opened.writestr("cat/a.jpg", b"a")
    copied = fetch(f"{server}/a.zip", str(tmp_path / "cache"))
    assert pathlib.Path(copied).read_bytes() == (tmp_path / "served" / "a.zip").read_bytes()
    assert pathlib.Path(copied).name == "a.zip"
    assert fetch(f"{server}/a.zip", str(tmp_path / "cache")) == copied
    with zipfile.ZipFile(tmp_path / "served" / "a.zip", "a") as opened:
        opened.writestr("cat/b.jpg", b"b")
    again = fetch(f"{server}/a.zip", str(tmp_path / "cache"))
    assert pathlib.Path(again).read_bytes() == (tmp_path / "served" / "a.zip").read_bytes()


def test_what_is_not_there_is_one_line(server, tmp_path):
    with pytest.raises(DataError, match="Reading it failed"):
        fetch(f"{server}/none.zip", str(tmp_path / "cache"))


def test_a_page_is_no_archive(server, tmp_path):
    (tmp_path / "served" / "index.html").write_text("hello")
    with pytest.raises(DataError, match=r"expected an archive \(\.zip"):
        fetch(f"{server}/index.html", str(tmp_path / "cache"))


def test_a_directory_is_copied(tmp_path):
    memory = fsspec.filesystem("memory")
    for name in ("cat/a.jpg", "dog/deep/b.jpg"):
        memory.pipe(f"/photos/{name}", name.encode())
    copied = pathlib.Path(fetch("memory://photos", str(tmp_path / "cache")))
    files = {path.relative_to(copied).as_posix(): path.read_bytes() for path in copied.rglob("*.jpg")}
    assert files == {"cat/a.jpg": b"cat/a.jpg", "dog/deep/b.jpg": b"dog/deep/b.jpg"}
    assert not [name for name in os.listdir(tmp_path / "cache" / "fetched") if name.startswith(".")]
