"""Tests of tl_keras.data.folder."""

import numpy as np

from tl_keras.data.folder import FolderSource


def test_folders_are_classes_in_the_order_of_their_names(tmp_path, write_image):
    for name in ("dog/b.jpg", "dog/a.PNG", "cat/deep/er/c.bmp", "cat/d.gif"):
        write_image(name)
    source = FolderSource(str(tmp_path))
    assert source.class_names == ("cat", "dog")
    assert source.ids == ["cat/d.gif", "cat/deep/er/c.bmp", "dog/a.PNG", "dog/b.jpg"]
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert set(source.declared_splits) == {""}
    assert source.notes == ()


def test_a_class_without_images_is_noted_and_left_out(folder):
    (folder / "emu").mkdir()
    source = FolderSource(str(folder))
    assert source.class_names == ("cat", "dog")
    assert source.notes == ("class folders without images, left out: emu",)


def test_an_image_beside_the_class_folders_is_noted(folder, write_image):
    write_image("photos/loose.png")
    assert FolderSource(str(folder)).notes == ("images in no class folder, left out: 1, the first is loose.png",)


def test_it_reads_the_bytes_of_the_files(folder):
    source = FolderSource(str(folder))
    read = {int(element["index"]): element["image"].numpy() for element in source.images(np.array([3, 21]))}
    assert read == {index: (folder / source.ids[index]).read_bytes() for index in (3, 21)}
    assert source.encoded_image(3) == read[3]
