"""Tests of tl_keras.data.unlabelled."""

import zipfile

import pytest

from tl_keras.data.inspection import inspect_source
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import DataError


def test_every_image_below_a_folder_is_taken_whatever_the_folders_mean(tmp_path, write_image):
    for name in ("photos/loose.png", "photos/a/one.png", "photos/a/b/two.png", "photos/test/three.png"):
        write_image(name)
    (tmp_path / "photos" / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    source = open_unlabelled(tmp_path / "photos")
    assert source.ids == ["a/b/two.png", "a/one.png", "damaged.jpg", "loose.png", "test/three.png"]
    assert source.labels.shape == (5, 0) and source.labelling.count(()) == "no labels"
    assert any(".txt" in note for note in source.notes)
    inspection = inspect_source(source)
    assert inspection.undecodable == ("damaged.jpg",)
    assert inspection.findings == ("1 image cannot be decoded and is left out: damaged.jpg",)


def test_copies_are_no_finding_of_their_labels(tmp_path, write_image):
    write_image("photos/one.png", seed=1)
    write_image("photos/again.png", seed=1)
    assert inspect_source(open_unlabelled(tmp_path / "photos")).findings == ()


def test_of_other_sources_the_labels_are_left_aside(tmp_path, folder):
    assert open_unlabelled("digits").labels.shape == (1797, 0)
    packed = tmp_path / "photos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder).as_posix())
    source = open_unlabelled(str(packed))
    assert len(source) == 40 and source.name == str(packed)


@pytest.mark.parametrize("content", [{}, {"damaged.jpg": b"\xff\xd8\xff\xe0 no image"}])
def test_nothing_to_look_at_is_one_line(tmp_path, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r"expected .*images .*Received:? none"):
        inspect_source(open_unlabelled(tmp_path))
