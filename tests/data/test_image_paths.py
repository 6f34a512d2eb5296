"""Tests of tl_keras.data.image_paths: another way to write an image's name is one more line of a table."""

import os
import unicodedata

import pytest

from tl_keras.data.image_paths import find_images, folder_with, identity
from tl_keras.data.table import Table
from tl_keras.errors import DataError


@pytest.fixture
def found(tmp_path):
    """A function that finds images beside a table, among images/{a,b,c,00007}.jpg and other/deep/d.PNG."""
    for name in ("images/a.jpg", "images/b.jpg", "images/c.jpg", "images/00007.jpg", "other/deep/d.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*ids, images_in=""):
        table = Table("t.csv", ["path"], [[each] for each in ids], range(2, 2 + len(ids)), str(tmp_path))
        paths, notes = find_images(table, ids, str(tmp_path / images_in) if images_in else "")
        return [os.path.relpath(path, tmp_path) for path in paths], notes

    return found


# What the table says of the image images/a.jpg, and where images are.
IDS = {
    "a path": ("images/a.jpg", ""),
    "a path with dots": ("./other/../images/a.jpg", ""),
    "without suffix": ("images/a", ""),
    "of Windows": (r"images\a.jpg", ""),
    "an id": ("a", "images"),
    "a name": ("a.jpg", "."),
    "a path below": ("images/a", "."),
}


@pytest.mark.parametrize(("image_id", "images_in"), IDS.values(), ids=IDS)
def test_images_are_found(found, image_id, images_in):
    assert found(image_id, images_in=images_in) == (["images/a.jpg"], [])


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize(("image_id", "images_in"), [("birds/jäger.jpg", ""), ("jäger", "."), ("birds/jäger", "")])
def test_an_accent_is_found_however_unicode_composes_it(found, tmp_path, on_disk, image_id, images_in):
    name = unicodedata.normalize(on_disk, "birds/jäger.jpg")
    (tmp_path / "birds").mkdir()
    (tmp_path / name).touch()
    for form in ("NFC", "NFD"):
        assert found(unicodedata.normalize(form, image_id), images_in=images_in) == ([name], [])


# Paths of another computer, where images are, and the remark.
FOREIGN = {
    "Kaggle's": (["/kaggle/input/images/a.jpg", "/kaggle/input/images/b.jpg"], "", "/kaggle/input"),
    "of Windows": ([r"C:\set\images\a.jpg", r"C:\set\images\b.jpg"], "", "C:/set"),
    "a folder more": (["set/images/a.jpg", "set/images/b.jpg"], "", "set"),
    "below another folder": (["/x/y/a.jpg", "/x/y/b.jpg"], "images", "/x/y"),
    "a slash too many": (["/images/a.jpg", "/images/b.jpg"], "", "/"),
}


@pytest.mark.parametrize(("ids", "images_in", "shared"), FOREIGN.values(), ids=FOREIGN)
def test_paths_of_another_computer_are_found_with_a_note(found, ids, images_in, shared):
    paths, (note,) = found(*ids, images_in=images_in)
    assert paths == ["images/a.jpg", "images/b.jpg"]
    assert note == f"paths are read without their first {shared if shared == '/' else f'folders {shared}'}"


REFUSED = {
    "one is missing": (
        ["images/a.jpg", "images/z.jpg"],
        "",
        "Received 1 of 2 that are none, the first is images/z.jpg",
    ),
    "of other folders": (["x/a.jpg", "y/b.jpg"], "images", "Received 2 of 2"),
    "in a folder beside": (["a", "b"], "", "It is in .*/images: use --images_in=.*/images"),
    "another suffix": (["images/a.png"], "", r"a\.jpg is there: write the names in the table as the files have them"),
    "another case": (["images/A.JPG"], "", r"a\.jpg is there"),
    "a number": (["7"], "images", r"00007\.jpg is there: the table has lost the leading zeros"),
    "an address": (["https://example.org/a.jpg"], "", "It is an address: copy the images"),
    "a folder": (["images"], "", "Received 1 of 1 that are none"),
    "nothing like it": (["zebra.jpg"], "", "name the folder of the images with --images_in"),
    "no folder": (["a"], "none", "expected a directory. Received: .*none"),
}


@pytest.mark.parametrize(("ids", "images_in", "message"), REFUSED.values(), ids=REFUSED)
def test_a_missing_image_is_one_line_with_a_remedy(found, ids, images_in, message):
    with pytest.raises(DataError, match=message):
        found(*ids, images_in=images_in)


def test_an_exact_path_is_taken_whatever_a_file_in_a_folder_is_called(found, tmp_path):
    (tmp_path / "im" / "thumbs").mkdir(parents=True)
    for name in ("1.jpg", "thumbs/1.jpg"):
        (tmp_path / "im" / name).touch()
    assert found("1.jpg", images_in="im")[0] == ["im/1.jpg"]


def test_an_id_that_fits_several_files_is_refused(found, tmp_path):
    (tmp_path / "other/a.jpg").touch()
    with pytest.raises(DataError, match="Received a, which fits several files"):
        found("a", images_in=".")


def test_the_first_folder_with_an_image(found, tmp_path):
    folders = [str(tmp_path / name) for name in ("none", "other", "images")]
    assert folder_with("a", folders) == folders[2]
    assert folder_with("e", folders) is None


def test_a_file_has_one_identity_however_it_is_spelled(found, tmp_path):
    (tmp_path / "link.jpg").symlink_to("images/a.jpg")
    spelled = ("images/a.jpg", "./images/../images/a.jpg", "link.jpg")
    assert len({identity(str(tmp_path / path)) for path in spelled}) == 1
    assert identity(str(tmp_path / "images/b.jpg")) != identity(str(tmp_path / "images/a.jpg"))
