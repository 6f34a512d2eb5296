"""Tests of tl_keras.data.sources."""

import shutil

import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.sources import SourceOptions, open_source, open_source_of_run
from tl_keras.errors import DataError


def test_a_directory_is_opened(folder):
    source = open_source(str(folder))
    assert source.name == str(folder)
    assert len(source) == 40


def test_a_kind_is_opened(folder):
    (folder / "list.csv").write_text("path,label\ncat/00.png,cat\ndog/00.png,dog\n")
    assert open_source(f"csv:{folder}/list.csv").name == f"csv:{folder}/list.csv"


def test_a_path_is_opened(folder):
    assert open_source(folder).name == str(folder)


def test_an_archive_is_opened_as_a_folder(folder, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "photos")
    source = open_source(archive, SourceOptions(cache_folder=str(tmp_path / "cache")))
    assert source.name == archive
    assert source.class_names == ("cat", "dog")
    assert source.encoded_image(0) == (folder / "cat" / "00.png").read_bytes()
    assert source.notes == ("the images are read from photos, the only folder with images",)


def test_groups_are_told_by_a_column_of_that_name(folder):
    rows = [f"cat/{number:02}.png,cat,{number % 4}\ndog/{number:02}.png,dog,{number % 4}" for number in range(20)]
    (folder / "houses.csv").write_text("\n".join(["path,label,house", *rows]))
    groups = open_source(f"csv:{folder}/houses.csv", SourceOptions(group_by="house")).groups
    assert (groups.by, len(groups)) == ("the column house", 4)


def test_labels_that_are_no_classes_are_refused_until_asked_for(folder):
    rows = [f"cat/{number:02}.png,{number}" for number in range(20)] + [
        f"dog/{number:02}.png,{number + 20}" for number in range(20)
    ]
    (folder / "ages.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"40 numbers for 40 images.*--task=single_label"):
        open_source(f"csv:{folder}/ages.csv")
    assert len(open_source(f"csv:{folder}/ages.csv", SourceOptions(task="single_label")).class_names) == 40


def test_digits_are_opened():
    assert open_source("digits").name == "digits"


def test_an_unknown_kind_offers_the_nearest():
    with pytest.raises(DataError, match=r"Received the kind tfrecords\. Did you mean tfrecord"):
        open_source("tfrecords:photos/*.tfrecord")


def test_images_of_a_run_that_have_moved_are_said_to_be_those_of_the_run(tmp_path):
    config = TransferConfig()
    config.data.source = str(tmp_path / "moved")
    with pytest.raises(DataError, match=r"workdir: expected the images of run1 at .*moved, where") as raised:
        open_source_of_run(config, "run1")
    assert "does not exist" in str(raised.value)
