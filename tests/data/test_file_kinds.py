"""Tests of tl_keras.data.file_kinds."""

import io
import zipfile

import pytest

from tests.data.files_of_every_kind import RGB, encoded
from tl_keras.data.file_kinds import SUFFIXES, kind_of, kind_of_file, suffix_of


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("a.txt", b"a")
    return file.getvalue()


# A file, and its kind; the images are written by Pillow.
KINDS = {
    **{name: (encoded(RGB, name), name) for name in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "AVIF", "ICO", "PDF", "PPM")},
    "WebP": (encoded(RGB, "WEBP"), "WebP"),
    "JPEG 2000": (encoded(RGB, "JPEG2000"), "JPEG 2000"),
    "greys": (encoded(RGB.convert("L"), "PPM"), "PPM"),
    "SVG": (b'<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
    "HTML": (b"\n<!DOCTYPE html><html></html>", "HTML"),
    "HTML without more": (b"<HTML><body>404</body>", "HTML"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS"),
    "zip": (zipped(), "zip"),
    "text": (b"hello", ""),
    "text like BMP": (b"BMW 3 series", ""),
    "text like PPM": (b"P5x", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize(("contents", "kind"), KINDS.values(), ids=KINDS)
def test_a_file_is_told_by_its_beginning(tmp_path, contents, kind):
    assert kind_of(contents) == kind
    (tmp_path / "file").write_bytes(contents)
    assert kind_of_file(str(tmp_path / "file")) == kind


def test_a_file_that_is_not_there_is_of_no_kind(tmp_path):
    assert kind_of_file(str(tmp_path / "none")) == ""
    assert kind_of_file(str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.JPG", ".jpg"),
        ("a.jpg ", ".jpg"),
        ("a", ""),
        ("n02.1234", ""),
        ("a.", ""),
        (".hidden", ""),
        ("x.tar.gz", ".gz"),
    ],
)
def test_a_suffix_has_a_letter(name, suffix):
    assert suffix_of(name) == suffix


def test_no_suffix_stands_for_two_kinds():
    suffixes = [suffix for known in SUFFIXES.values() for suffix in known]
    assert len(suffixes) == len(set(suffixes))
