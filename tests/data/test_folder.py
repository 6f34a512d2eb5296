"""Tests of tl_keras.data.folder."""

import numpy as np
import pytest

from tl_keras.data.folder import FolderSource
from tl_keras.errors import DataError


def test_folders_are_classes_in_the_order_of_their_names(tmp_path, write_image):
    for name in ("dog/b.jpg", "dog/a.PNG", "cat/deep/er/c.bmp", "cat/d.gif"):
        write_image(name)
    source = FolderSource(str(tmp_path))
    assert source.class_names == ("cat", "dog")
    assert source.ids == ["cat/d.gif", "cat/deep/er/c.bmp", "dog/a.PNG", "dog/b.jpg"]
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert set(source.declared_splits) == {""}
    assert source.notes == ()


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation"])
def test_split_folders_declare_splits(tmp_path, write_image, validation):
    for split in ("train", validation, "test"):
        write_image(f"{split}/cat/a.png")
        write_image(f"{split}/dog/a.png")
    source = FolderSource(str(tmp_path))
    assert source.class_names == ("cat", "dog")
    assert sorted(source.declared_splits) == ["test", "test", "train", "train", "validation", "validation"]


def test_a_train_among_cars_is_a_class(tmp_path, write_image):
    write_image("train/a.png")
    write_image("car/a.png")
    assert FolderSource(str(tmp_path)).class_names == ("car", "train")


def test_hidden_files_are_ignored_and_others_are_counted(tmp_path, write_image):
    for name in ("cat/a.png", "cat/.b.png", ".git/c.png", "dog/a.png"):
        write_image(name)
    for name in ("cat/notes.txt", "dog/x.webp", "dog/y.webp"):
        (tmp_path / name).touch()
    source = FolderSource(str(tmp_path))
    assert source.ids == ["cat/a.png", "dog/a.png"]
    assert source.notes == ("other files, left alone: 2 .webp, 1 .txt",)


def test_a_class_without_images_is_noted_and_left_out(folder):
    (folder / "emu").mkdir()
    source = FolderSource(str(folder))
    assert source.class_names == ("cat", "dog")
    assert source.notes == ("class folders without images, left out: emu",)


def test_an_image_beside_the_class_folders_is_noted(folder, write_image):
    write_image("photos/loose.png")
    assert FolderSource(str(folder)).notes == ("images in no class folder, left alone: 1, the first is loose.png",)


def test_it_reads_the_bytes_of_the_files(folder):
    source = FolderSource(str(folder))
    read = {int(element["index"]): element["image"].numpy() for element in source.images(np.array([3, 21]))}
    assert read == {index: (folder / source.ids[index]).read_bytes() for index in (3, 21)}
    assert source.encoded_image(3) == read[3]


def test_a_missing_directory_offers_its_neighbours(folder):
    with pytest.raises(DataError, match=r"does not exist\. Did you mean photos\?"):
        FolderSource(str(folder.parent / "fotos"))


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "list.csv").touch()
    with pytest.raises(DataError, match=r"Received a file\. Use csv:"):
        FolderSource(str(tmp_path / "list.csv"))


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(DataError, match="no files in class folders"):
        FolderSource(str(tmp_path))


def test_a_directory_of_other_files_is_refused(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.tiff").touch()
    with pytest.raises(DataError, match=r"other files only: 1 \.tiff"):
        FolderSource(str(tmp_path))


def test_images_without_class_folders_are_refused(tmp_path, write_image):
    write_image("a.png")
    with pytest.raises(DataError, match=r"Received 1 images in no class folder, the first is a\.png"):
        FolderSource(str(tmp_path))


def test_a_class_without_training_images_is_refused(tmp_path, write_image):
    for name in ("train/cat/a.png", "train/dog/a.png", "test/emu/a.png"):
        write_image(name)
    with pytest.raises(DataError, match="emu in test only"):
        FolderSource(str(tmp_path))


def test_classes_beside_splits_are_refused(tmp_path, write_image):
    for name in ("train/cat/a.png", "test/cat/a.png", "dog/a.png"):
        write_image(name)
    with pytest.raises(DataError, match="test, train beside dog"):
        FolderSource(str(tmp_path))


def test_a_test_split_alone_is_refused(tmp_path, write_image):
    write_image("test/cat/a.png")
    with pytest.raises(DataError, match="expected a train folder beside test"):
        FolderSource(str(tmp_path))
