"""Tests of tl_keras.data.shared_content: one content under several classes is one image with several labels."""

import shutil
import sys

import numpy as np
import pytest

from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source

SEVERAL = SourceOptions(task="multi_label")


@pytest.fixture
def folder(tmp_path):
    """Files of equal size, which name their content; they are listed, never decoded."""
    for split, name, file, content in (
        ("train", "cat", "1", "both"),
        ("train", "cat", "2", "left"),
        ("train", "cat", "3", "left"),  # twice in its class
        ("train", "dog", "1", "alone"),
        ("test", "dog", "1", "both"),  # in two splits
    ):
        (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / split / name / f"{file}.jpg").write_bytes(content.rjust(8).encode())
    (tmp_path / "train" / "dog" / "link.jpg").symlink_to(tmp_path / "train" / "cat" / "1.jpg")
    (tmp_path / "train" / "elk").mkdir()
    shutil.copy(tmp_path / "train" / "cat" / "1.jpg", tmp_path / "train" / "elk" / "copy.jpg")
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that nobody can read")
def test_a_file_that_cannot_be_read_is_an_image_of_its_own(folder):
    (folder / "train" / "dog" / "empty.jpg").touch()
    (folder / "train" / "dog" / "unread.jpg").symlink_to("/proc/self/mem")
    assert {"train/dog/empty.jpg", "train/dog/unread.jpg"} < set(open_source(str(folder), SEVERAL).ids)


def test_links_and_copies_are_one_image_with_the_label_of_each(folder):
    source = open_source(str(folder), SEVERAL)
    assert source.class_names == ("cat", "dog", "elk")
    labels = dict(zip(source.ids, source.labels.tolist(), strict=True))
    assert labels == {
        "test/dog/1.jpg": [0, 1, 0],
        "train/cat/1.jpg": [1, 1, 1],
        "train/cat/2.jpg": [1, 0, 0],
        "train/dog/1.jpg": [0, 1, 0],
    }
    assert source.declared_splits.tolist() == ["test", "train", "train", "train"]
    assert [source.encoded_image(index).strip() for index in range(4)] == [b"both", b"both", b"left", b"alone"]
    assert source.notes[-1] == (
        "7 files are 4 images, by content: 1 of them under several classes, which are their labels"
    )


def test_without_copies_each_image_has_one_label_and_it_is_said(folder):
    for path in (folder / "train" / "dog" / "link.jpg", folder / "train" / "elk", folder / "train" / "cat" / "3.jpg"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    source = open_source(str(folder / "train"), SEVERAL)
    np.testing.assert_array_equal(source.labels.sum(axis=1), 1)
    assert source.notes[-1].startswith("every image has one label; one that has several is in the folder of each")
