"""Tests of tl_keras.data.archive."""

import io
import os
import pathlib
import tarfile
import zipfile

import pytest

from tl_keras.data import archive
from tl_keras.data.archive import unpack
from tl_keras.errors import DataError

FILES = {"cat/a.jpg": b"a", "cat/.b.jpg": b"b", "dog/c d.jpg": b"c"}


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as opened:
        for name, contents in files.items():
            opened.writestr(name, contents)


def write_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as opened:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            opened.addfile(member, io.BytesIO(contents))


WRITERS = {
    "a.zip": write_zip,
    "a.tar": write_tar,
    "a.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "a.tgz": lambda path, files: write_tar(path, files, "w:gz"),
    "a.tar.bz2": lambda path, files: write_tar(path, files, "w:bz2"),
    "a.tar.xz": lambda path, files: write_tar(path, files, "w:xz"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_archives_are_unpacked_once(tmp_path, name):
    WRITERS[name](tmp_path / name, FILES)
    folder, notes = unpack(str(tmp_path / name), str(tmp_path / "cache"))
    found = {str(path.relative_to(folder)): path.read_bytes() for path in pathlib.Path(folder).rglob("*.jpg")}
    assert found == FILES
    assert notes == ()
    os.utime(pathlib.Path(folder, "cat", "a.jpg"), ns=(1, 1))
    assert unpack(str(tmp_path / name), str(tmp_path / "cache"))[0] == folder
    assert os.stat(pathlib.Path(folder, "cat", "a.jpg")).st_mtime_ns == 1
    assert sorted(os.listdir(tmp_path / "cache" / "unpacked")) == [pathlib.Path(folder).parent.name]


@pytest.mark.parametrize(
    "name", ["../out.jpg", "/out.jpg", "cat/../../out.jpg", r"..\out.jpg", "C:/out.jpg", "a/" * 600 + "b.jpg"]
)
@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_no_file_is_written_outside(tmp_path, kind, name):
    WRITERS[kind](tmp_path / kind, {"cat/a.jpg": b"a", name: b"x"})
    with pytest.raises(DataError, match="expected names of files inside it"):
        unpack(str(tmp_path / kind), str(tmp_path / "cache"))
    assert not list(tmp_path.rglob("out.jpg"))
    assert not os.listdir(tmp_path / "cache" / "unpacked")


def test_links_are_left_out_and_counted(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as opened:
        for name, kind, target in (
            ("up", tarfile.SYMTYPE, "/etc"),
            ("hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            opened.addfile(member)
        member = tarfile.TarInfo("up/a.jpg")
        opened.addfile(member, io.BytesIO())
    folder, notes = unpack(str(tmp_path / "a.tar"), str(tmp_path / "cache"))
    assert os.path.isdir(os.path.join(folder, "up")) and not os.path.islink(os.path.join(folder, "up"))
    assert notes == ("links and devices in the archive, left out: 3, the first is up",)
    entry = zipfile.ZipInfo("link.jpg")
    entry.external_attr = 0o120777 << 16
    write_zip(tmp_path / "a.zip", {entry: "/etc/passwd", "cat/a.jpg": b"a"})
    assert unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))[1] == (
        "links in the archive, left out: 1, the first is link.jpg",
    )


def test_names_that_macos_wrote_are_read_as_it_wrote_them(tmp_path):
    write_zip(tmp_path / "a.zip", {"Käfer/a.jpg": b"a", "b.jpg": b"b"})
    contents = bytearray((tmp_path / "a.zip").read_bytes())
    for header, flags in ((b"PK\3\4", 7), (b"PK\1\2", 9)):  # macOS leaves out the flag that says UTF-8
        contents[contents.index(header) + flags] = 0
    (tmp_path / "a.zip").write_bytes(contents)
    folder, _ = unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))
    assert sorted(os.listdir(folder)) == ["Käfer", "b.jpg"]


def test_empty_files_count_as_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_FILES", 2)
    write_zip(tmp_path / "a.zip", {f"{number}.jpg": b"" for number in range(3)})
    with pytest.raises(DataError, match="Received more"):
        unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))


def test_an_archive_made_to_fill_a_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_ALWAYS_ALLOWED_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.bmp", bytes(8 * 2**20))
    with pytest.raises(DataError, match="Received more"):
        unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))


DAMAGED = {
    "cut off": ("a.tar.gz", lambda contents: contents[: len(contents) // 2]),
    "no archive": ("a.zip", lambda contents: b"hello"),
    "a name that is not UTF-8": ("a.zip", lambda contents: contents.replace("é.jpg".encode(), b"\xff\xff.jpg")),
    "a wrong byte": ("a.zip", lambda contents: contents.replace(b"a.jpga", b"a.jpgz")),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_one_line(tmp_path, name, damage):
    path = tmp_path / name
    WRITERS[name](path, {**FILES, "é.jpg": b"d", "large.jpg": os.urandom(10_000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="Received a damaged, encrypted or unknown one"):
        unpack(str(path), str(tmp_path / "cache"))
    assert not os.listdir(tmp_path / "cache" / "unpacked")


def test_files_that_were_unpacked_and_have_lost_their_notes_are_refused(tmp_path):
    write_zip(tmp_path / "a.zip", FILES)
    folder, _ = unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))
    (pathlib.Path(folder).parent / "notes.json").unlink()
    with pytest.raises(DataError, match=r"expected notes\.json beside the files.* Remove .*unpacked"):
        unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.parametrize("order", [("cat", "cat/a.jpg"), ("cat/a.jpg", "cat")], ids=["file first", "folder first"])
def test_of_a_file_and_a_folder_of_one_name_the_folder_is_kept(tmp_path, kind, order):
    WRITERS[kind](tmp_path / kind, {**dict.fromkeys(order, b"a"), "dog/deep/b.jpg": b"b"})
    folder, notes = unpack(str(tmp_path / kind), str(tmp_path / "cache"))
    assert sorted(path.name for path in pathlib.Path(folder).rglob("*.jpg")) == ["a.jpg", "b.jpg"]
    assert notes == ("files of a name that the archive has twice, left out: 1, the first is cat",)


@pytest.mark.parametrize(
    ("contents", "received"),
    [(b"", "an empty file"), (b"<html>Sign in</html>", "a file of the kind HTML"), (b"Rar!\x1a\x07\0", "kind rar")],
)
def test_what_is_there_instead_of_an_archive_is_said(tmp_path, contents, received):
    (tmp_path / "a.zip").write_bytes(contents)
    with pytest.raises(DataError, match=f"expected an archive that can be unpacked. Received .*{received}"):
        unpack(str(tmp_path / "a.zip"), str(tmp_path / "cache"))
