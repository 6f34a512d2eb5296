"""Tests of tl_keras.data.webdataset."""

import io
import tarfile

import numpy as np
import pytest

from tl_keras.data.inspection import inspect_source
from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.data.webdataset import WebDatasetSource
from tl_keras.errors import DataError


@pytest.fixture
def write_tar(tmp_path, write_image):
    """A function that writes a tar file of images, each from its seed, and other files by their content."""

    def write(name, files, mode="w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(tmp_path / name, mode) as archive:
            for key, content in files.items():
                data = write_image("scratch.png", seed=content).read_bytes() if isinstance(content, int) else content
                member = tarfile.TarInfo(key)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return f"{tmp_path}/*.tar"

    return write


def examples(first, count, classes=2):
    """Returns the files of some examples, whose classes take turns."""
    files = {}
    for number in range(first, first + count):
        files |= {f"{number:04}.png": number, f"{number:04}.cls": str(number % classes).encode()}
    return files


def test_images_are_read_in_any_order_without_unpacking(tmp_path, write_tar, write_image):
    write_tar("a-0.tar", examples(0, 5))
    source = open_source(f"webdataset:{write_tar('a-1.tar', examples(5, 5))}")
    assert source.ids[:2] == ["a-0.tar:0000", "a-0.tar:0001"] and len(source) == 10
    assert source.class_names == ("0", "1") and source.labels.tolist() == [0, 1] * 5
    found = {int(element["index"]): element["image"].numpy() for element in source.images(np.array([7, 2]))}
    assert found == {index: write_image("one.png", seed=index).read_bytes() for index in (2, 7)}
    assert source.encoded_image(9) == write_image("one.png", seed=9).read_bytes()
    assert inspect_source(source).decodable.all()
    revision = source.contents_revision()
    write_tar("a-1.tar", examples(5, 4))
    assert source.contents_revision() != revision


def test_files_declare_splits_and_a_table_names_classes(tmp_path, write_tar):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    write_tar("train-000.tar", examples(0, 4))
    pattern = write_tar("val-000.tar", examples(4, 2))
    source = WebDatasetSource(pattern)
    assert source.class_names == ("cat", "dog")
    assert source.declared_splits.tolist() == ["train"] * 4 + ["validation"] * 2
    assert len(WebDatasetSource(pattern, SourceOptions(splits="val-000.tar=unused"))) == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_table_of_classes_may_begin_with_a_mark(tmp_path, write_tar, encoding):
    (tmp_path / "labels.txt").write_text("Kätzchen\ndog\n", encoding=encoding)
    assert WebDatasetSource(write_tar("a.tar", examples(0, 4))).class_names == ("Kätzchen", "dog")


def test_a_table_of_classes_that_is_not_in_utf_8_is_one_line(tmp_path, write_tar):
    (tmp_path / "labels.txt").write_text("dog\nKätzchen\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"labels.txt line 2: expected names in UTF-8"):
        WebDatasetSource(write_tar("a.tar", examples(0, 4)))


def test_a_gap_in_the_table_of_classes_is_refused(tmp_path, write_tar):
    (tmp_path / "labels.txt").write_text("cat\n\ndog\n\n")
    with pytest.raises(DataError, match=r"labels\.txt line 2: expected a name in each line\. Received an empty one"):
        open_source(f"webdataset:{write_tar('a.tar', examples(0, 4))}")
    (tmp_path / "labels.txt").write_text("cat\ndog\n\n")
    assert open_source(f"webdataset:{tmp_path}/a.tar").class_names == ("cat", "dog")


def test_what_macos_adds_is_counted_in_one_line_and_a_mark_is_no_part_of_a_class(write_tar):
    files = {f"._{name}": b"" for name in examples(0, 4)} | examples(0, 4) | {"0003.cls": b"\xef\xbb\xbf1"}
    source = open_source(f"webdataset:{write_tar('a.tar', files)}")
    assert source.class_names == ("0", "1")
    assert source.notes == ("hidden files in the tar file, left out: 8, the first is a.tar:._0000.png",)


def test_long_numbers_are_names_of_classes(write_tar):
    files = examples(0, 4) | {"0001.cls": b"12345678901234567890", "0003.cls": b"12345678901234567890"}
    source = WebDatasetSource(write_tar("a.tar", files))
    assert source.class_names == ("0", "12345678901234567890") and source.labels.tolist() == [0, 1, 0, 1]


def test_links_and_classes_without_an_image_are_counted(tmp_path, write_tar):
    pattern = write_tar("a.tar", examples(0, 4) | {"lone.cls": b"1", "folder/lone.cls": b"1"})
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        for name, kind in (("copy.png", tarfile.LNKTYPE), ("link.png", tarfile.SYMTYPE), ("folder", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "0000.png" if kind != tarfile.DIRTYPE else ""
            archive.addfile(member)
    source = WebDatasetSource(pattern)
    assert len(source) == 4
    assert source.notes == (
        "links and devices in the tar file, left out: 2, the first is a.tar:copy.png",
        "classes without an image, left out: 2, the first is a.tar:lone",
    )


def test_other_files_of_an_example_are_counted_and_folders_belong_to_its_name(write_tar):
    files = {"x/1.png": 1, "x/1.cls": b"red\n", "x/1.seg.png": 2, "y/1.png": 3, "y/1.cls": b"blue", "y/1.json": b"{}"}
    source = WebDatasetSource(write_tar("a.tar", files))
    assert source.ids == ["a.tar:x/1", "a.tar:y/1"]
    assert source.class_names == ("blue", "red") and source.labels.tolist() == [1, 0]
    assert source.notes == ("other files, left alone: 1 .seg.png, 1 .json",)


REFUSED = {
    "no file": ({}, "", "a pattern that no file fits"),
    "no image": ({"1.cls": b"0"}, "w", r"Received none \(classes without an image.*: 1.*\)\. Write them as KEY\.jpg"),
    "no class": ({"1.png": 1, "1.cls": b"0", "2.png": 2}, "w", r"Received none for a\.tar:2\. Add it"),
    "compressed": ({"1.png": 1, "1.cls": b"0"}, "w:gz", "expected a tar file that is not compressed"),
}


@pytest.mark.parametrize(("files", "mode", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_used_is_one_line(tmp_path, write_tar, files, mode, message):
    pattern = write_tar("a.tar", files, mode) if mode else f"{tmp_path}/*.tar"
    with pytest.raises(DataError, match=message):
        WebDatasetSource(pattern)


def test_images_without_a_class_are_read_without_labels(write_tar):
    pattern = write_tar("a.tar", {"1.png": 1, "1.txt": b"a caption", "2.png": 2})
    source = open_unlabelled(f"webdataset:{pattern}")
    assert source.labels.shape == (2, 0)
    assert inspect_source(source).decodable.all()
