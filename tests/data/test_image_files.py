"""Tests of tl_keras.data.image_files."""

import os

import pytest

from tests.data.files_of_every_kind import RGB, encoded
from tl_keras.data import conversion
from tl_keras.data.image_files import IMAGE_SUFFIXES, list_images, read_tree


@pytest.fixture
def make(tmp_path):
    """A function that makes an empty file."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    return make


# What lies beside the image cat/a.jpg, and what is said of it.
LEFT_OUT = {
    "a hidden file": ("cat/.b.jpg", "hidden images, left out: 1, the first is cat/.b.jpg"),
    "forks of macOS": ("cat/._a.jpg", "hidden images, left out: 1, the first is cat/._a.jpg"),
    "a hidden folder": (
        "cat/.old/c.jpg",
        "images in hidden folders and in folders that programs make, left out: 1, the first is cat/.old/c.jpg",
    ),
    "thumbnails of a NAS": (
        "cat/@eaDir/a.jpg/thumb.jpg",
        "images in hidden folders and in folders that programs make, left out: 1, the first is cat/@eaDir/a.jpg/thumb.jpg",
    ),
    "a zip of macOS": (
        "__MACOSX/cat/a.jpg",
        "images in hidden folders and in folders that programs make, left out: 1, the first is __MACOSX/cat/a.jpg",
    ),
    **{
        name: (
            f"{name}/a.jpg",
            f"images in hidden folders and in folders that programs make, left out: 1, the first is {name}/a.jpg",
        )
        for name in ("System Volume Information", "$RECYCLE.BIN", "FOUND.000", "LOST.DIR", "@Recycle", "lost+found")
    },
    "another file": ("cat/notes.TXT", "other files, left alone: 1 .txt"),
    "no suffix": ("cat/README", "other files, left alone: 1 without suffix"),
    "a backup": ("cat/a.jpg.bak", "other files, left alone: 1 .bak"),
}


@pytest.mark.parametrize(("name", "note"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_is_counted(tmp_path, make, name, note):
    make("cat/a.jpg")
    make(name)
    tree, left_out = read_tree(str(tmp_path))
    assert tree.all_images() == ["cat/a.jpg"]
    assert left_out.notes() == [note]


# Names of files that hold a picture, and whether they are read.
NAMES = {
    **{f"cat/b{suffix}": True for suffix in IMAGE_SUFFIXES},
    "cat/b.JPEG": True,
    "cat/b.jpg ": True,
    "cat/b": True,
    "cat/n02085620_7": True,
    "cat/frame.0012": True,
    "cat/b.jpg_large": False,
    "cat/b.jpg.bak": False,
    "cat/b.txt": False,
}


@pytest.mark.parametrize(("name", "is_read"), NAMES.items())
def test_what_is_read_by_its_name_or_content(tmp_path, name, is_read):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(encoded(RGB, "PNG"))
    tree, left_out = read_tree(str(tmp_path))
    assert tree.all_images() == [name] * is_read
    assert left_out.notes() == [] if is_read else left_out.notes()[0].startswith("other files, left alone: 1 .")


@pytest.mark.parametrize("name", ["cat/b.jpg_large", "cat/b.SVG", "cat/b.dng", "cat/b.mp4"])
def test_files_that_may_be_images_are_named_with_a_remedy(tmp_path, make, name):
    make(name)
    suffix = os.path.splitext(name)[1].lower()
    assert read_tree(str(tmp_path))[1].notes()[1] == (
        f"{suffix} are not read; where they are images, save them as .jpg or .png"
    )


def test_a_folder_named_like_a_file_is_a_folder(tmp_path, make):
    make("cat/x.jpg/a.png")
    tree, left_out = read_tree(str(tmp_path))
    assert tree.all_images() == ["cat/x.jpg/a.png"]
    assert not left_out.notes()


def test_links_are_followed_to_files_and_folders(tmp_path, make):
    make("store/deep/a.jpg")
    (tmp_path / "photos/cat").mkdir(parents=True)
    (tmp_path / "photos/cat/all").symlink_to(tmp_path / "store")
    (tmp_path / "photos/cat/one.jpg").symlink_to(tmp_path / "store/deep/a.jpg")
    tree, left_out = read_tree(str(tmp_path / "photos"))
    assert tree.all_images() == ["cat/one.jpg", "cat/all/deep/a.jpg"]
    assert not left_out.notes()


def test_links_that_lead_nowhere_or_back_are_counted(tmp_path, make):
    make("cat/a.jpg")
    make("dog/b.jpg")
    (tmp_path / "cat/gone.jpg").symlink_to(tmp_path / "none.jpg")
    (tmp_path / "cat/up").symlink_to(tmp_path)
    (tmp_path / "cat/self").symlink_to("self")
    (tmp_path / "cat/dogs").symlink_to("../dog")
    (tmp_path / "dog/cats").symlink_to("../cat")
    tree, left_out = read_tree(str(tmp_path))
    assert tree.all_images() == ["cat/a.jpg", "cat/dogs/b.jpg", "dog/b.jpg", "dog/cats/a.jpg"]
    assert any(note.startswith("links that lead nowhere, left out: 4") for note in left_out.notes())
    assert any(note.startswith("links that lead back, left out: ") for note in left_out.notes())


def test_a_pipe_is_not_read(tmp_path, make):
    make("cat/a.jpg")
    for name in ("b.jpg", "c"):
        os.mkfifo(tmp_path / "cat" / name)
    tree, left_out = read_tree(str(tmp_path))
    assert tree.all_images() == ["cat/a.jpg"]
    assert left_out.notes()[0].startswith("neither files nor folders, left out: 2, the first is cat/")


def test_a_folder_is_its_images_and_a_file_is_itself_whatever_its_name(tmp_path, make):
    make("in/a.jpg")
    make("in/.b.jpg")
    odd = make("odd.name")
    files, notes = list_images(tmp_path / "in")
    assert files == [str(tmp_path / "in/a.jpg")]
    assert notes == [f"{tmp_path}/in: hidden images, left out: 1, the first is .b.jpg"]
    assert list_images(odd) == ([str(odd)], [])


def test_suffixes_of_each_file_do_not_fill_the_screen(make, tmp_path):
    for number in range(30):
        make(f"cat/a.x{number}")
        make(f"cat/b.jpg_{number}")
    make("cat/c.txt")
    make("cat/d.txt")
    files, may_be_images = read_tree(str(tmp_path))[1].notes()
    assert files.startswith("other files, left alone: 2 .txt, 1 .")
    assert files.endswith(" and 51 of 51 other suffixes") and files.count(",") == 10
    assert "and 20 more are not read" in may_be_images


def test_the_extra_is_looked_for_once_however_many_files_it_converts(make, tmp_path, monkeypatch):
    for number in range(20):
        make(f"cat/{number}.tif")
        make(f"cat/._{number}.tif")  # as macOS adds to each file
    make("cat/.old/1.tif")
    asked = []
    monkeypatch.setattr(conversion, "can_convert", lambda: asked.append(1) or True)
    assert read_tree(str(tmp_path))[0].count == 20
    assert len(asked) == 1  # each time takes as long as reading a small folder
