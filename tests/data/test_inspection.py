"""Tests of tl_keras.data.inspection."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.files_of_every_kind import encoded, turned
from tl_keras.data.arrays import ArraySource
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import Reading, inspect_source
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.errors import DataError


def inspect(folder):
    return inspect_source(FolderSource(str(folder)))


def test_clean_data_have_no_findings(folder):
    inspection = inspect(folder)
    assert inspection.decodable.all()
    assert inspection.findings == inspection.undecodable == ()
    assert set(inspection.heights) == {12}
    assert set(inspection.widths) == {16}


def test_the_hash_is_that_of_the_file(folder):
    assert inspect(folder).sha256[0] == hashlib.sha256((folder / "cat/00.png").read_bytes()).hexdigest()


def test_the_kinds_of_the_files_are_known_and_the_damaged_do_not_count(tmp_path):
    for number in range(4):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        Image.new("RGB", (20, 10), (number, 0, 0)).save(place / f"{number}.jpg")
    (tmp_path / "class0" / "damaged.png").write_bytes(b"nothing")
    assert inspect(tmp_path).file_kinds == {"JPEG"}
    Image.new("RGB", (20, 10)).save(tmp_path / "class0" / "png_within.jpg", "PNG")
    assert inspect(tmp_path).file_kinds == {"JPEG", "PNG"}


def test_pixels_are_no_files():
    assert not inspect_source(ArraySource(np.zeros((2, 4, 4), np.uint8), [0, 1])).file_kinds


def test_equal_pixels_of_another_shape_are_other_content():
    square, wide = (ArraySource(np.zeros((2, *shape), np.uint8), [0, 1]) for shape in ((4, 4), (2, 8)))
    assert inspect_source(square).sha256[0] == inspect_source(square).sha256[1] != inspect_source(wide).sha256[0]


def test_damaged_files_are_named_and_the_rest_goes_on(folder):
    damaged = ("cat/03.png", "dog/07.png", "dog/08.png")
    (folder / damaged[0]).write_bytes((folder / damaged[0]).read_bytes()[:300])
    (folder / damaged[1]).write_bytes(b"")
    (folder / damaged[2]).write_text("no image")
    inspection = inspect(folder)
    assert inspection.undecodable == damaged
    assert np.flatnonzero(~inspection.decodable).tolist() == [3, 27, 28]
    assert inspection.findings == (
        "2 images cannot be decoded and are left out: cat/03.png, dog/08.png",
        "1 image is empty, and is left out: dog/07.png",
    )
    assert inspection.sha256[28] == hashlib.sha256(b"no image").hexdigest()


def test_at_most_ten_are_named(folder):
    for number in range(12):
        (folder / f"cat/{number:02}.png").write_text(f"no image {number}")
    (finding,) = inspect(folder).findings
    assert finding.endswith("cat/09.png and 2 more")


def test_a_file_that_vanished_is_not_decodable(folder):
    source = FolderSource(str(folder))
    (folder / "cat/00.png").unlink()
    inspection = inspect_source(source)
    assert inspection.undecodable == ("cat/00.png",)
    assert inspection.sha256[0] == ""


def test_imbalance_and_small_classes_are_found(folder):
    for number in range(1, 20):
        (folder / f"cat/{number:02}.png").unlink()
    assert inspect(folder).findings == (
        "classes with fewer than 5 images: cat (1)",
        "the classes are imbalanced: 20 of dog, 1 of cat",
    )


def test_content_in_two_splits_is_found(tmp_path, folder):
    shutil.copytree(folder, tmp_path / "data" / "train")
    shutil.copytree(folder, tmp_path / "data" / "test")
    for name in ("cat", "dog"):
        for path in sorted((tmp_path / "data" / "test" / name).iterdir())[1 if name == "cat" else 0 :]:
            path.write_bytes(path.read_bytes() + b"another file")
    assert inspect(tmp_path / "data").findings == (
        "same content in two splits, so that the measured accuracy is too high, 1 time: "
        "test/cat/00.png = train/cat/00.png",
    )


def test_content_under_two_labels_is_found(folder):
    shutil.copy(folder / "cat/05.png", folder / "dog/x.png")
    assert inspect(folder).findings == (
        "same content under two labels (where an image has several, use --task=multi_label), 1 time: cat/05.png = dog/x.png",
    )


def test_copies_of_one_label_are_counted(folder):
    for number in range(3):
        shutil.copy(folder / "cat/05.png", folder / f"cat/again{number}.png")
    assert inspect(folder).findings == (
        "3 images are copies of others, which stay together and count as one in intervals, such as cat/05.png = cat/again0.png",
    )


def test_one_class_is_refused(folder):
    shutil.rmtree(folder / "dog")
    with pytest.raises(DataError, match=r"at least two classes\. Received only cat"):
        inspect(folder)


def test_one_class_that_can_be_decoded_is_refused(folder):
    for path in (folder / "dog").iterdir():
        path.write_text("no image")
    with pytest.raises(DataError, match=r"only cat \(20 of 40 images cannot be decoded\)"):
        inspect(folder)


@pytest.mark.long
def test_the_data_hash_ignores_names(folder):
    before = inspect(folder).data_hash
    (folder / "cat/00.png").rename(folder / "cat/zz.png")
    assert inspect(folder).data_hash == before


def test_the_data_hash_depends_on_the_class(folder):
    before = inspect(folder).data_hash
    (folder / "cat/00.png").rename(folder / "dog/zz.png")
    assert inspect(folder).data_hash != before


def test_the_summary_is_json(folder):
    summary = inspect(folder).to_json()
    assert summary["images"] == 40
    assert summary["heights"] == {"min": 12, "median": 12.0, "max": 12}


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_goes_to_a_terminal_alone(folder, capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    inspect_source(FolderSource(str(folder)), show_progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("inspecting the images" in captured.err) == terminal


def test_what_is_left_out_is_counted_by_its_reason(folder):
    (folder / "cat/00.png").write_bytes(b"\xff\x0a")
    (folder / "cat/01.png").write_bytes(encoded(Image.new("RGB", (40, 40)), "PNG"))
    (folder / "cat/02.png").write_text("no image")
    inspection = inspect_source(FolderSource(str(folder)), Reading(max_pixels=1599))
    assert inspection.undecodable == ("cat/00.png", "cat/01.png", "cat/02.png")
    assert inspection.findings == (
        "1 image cannot be decoded and is left out: cat/02.png",
        "1 image is in JPEG XL, which is to be saved as PNG first, and is left out: cat/00.png",
        "1 image is too large, over 1,599 pixels (--max_pixels), and is left out: cat/01.png",
    )
    assert inspection.reasons[1].startswith("too large")


def test_a_turned_photo_has_the_size_that_is_seen_and_is_no_upright_jpeg(tmp_path):
    for number in range(4):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        (place / f"{number}.jpg").write_bytes(turned("JPEG", 1, Image.effect_noise((20, 10), 50 + number)))
    assert inspect(tmp_path).only_upright
    (tmp_path / "class0" / "0.jpg").write_bytes(turned("JPEG", 6, Image.effect_noise((20, 10), 50)))
    inspection = inspect(tmp_path)
    assert inspection.file_kinds == {"JPEG"}
    assert not inspection.only_upright
    assert (inspection.heights[0], inspection.widths[0]) == (20, 10)
    assert not inspection.known(FolderSource(str(tmp_path))).only_upright


def test_images_of_one_colour_are_counted(folder):
    Image.new("RGB", (30, 30), "red").save(folder / "cat/00.png")
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(folder / "cat/01.png")
    nearly = Image.new("RGB", (30, 30), "red")
    nearly.putpixel((7, 9), (0, 0, 0))
    nearly.save(folder / "cat/02.png")
    assert inspect(folder).findings == ("2 images of one colour only, kept all the same: cat/00.png, cat/01.png",)


def test_deep_greys_of_a_device_are_refused_with_their_count_until_the_user_says_what_they_are(folder):
    rng = np.random.default_rng(0)
    for number in range(3):
        deep = rng.integers(0, 4096, (12, 16)).astype(np.uint16)
        Image.fromarray(deep).save(folder / f"cat/{number:02}.png")
    with pytest.raises(
        DataError,
        match=r"Received 3 whose largest value is 4,0\d\d, the first is cat/00.png. "
        r"Use --significant_bits=12",
    ):
        inspect(folder)
    assert inspect_source(FolderSource(str(folder)), Reading(significant_bits=12)).decodable.all()
    Image.fromarray(deep * 16).save(folder / "dog/00.png")
    assert inspect(folder).decodable.all()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_label_that_may_be_missing_is_a_finding_of_several_labels_too(position):
    names = ["b", "c"]
    names.insert(position, "none")
    labels = np.zeros((20, 3), np.int64)
    labels[::2, position] = labels[1::2, (position + 1) % 3] = labels[::3, (position + 2) % 3] = 1
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3), np.uint8)
    findings = inspect_source(ArraySource(images, labels, class_names=names)).findings
    assert any(
        each.startswith("a label named none, as programs write a missing label, of 10 images, the first is")
        for each in findings
    )


def test_a_class_that_the_user_puts_in_an_order_is_no_missing_label(folder):
    (folder / "cat").rename(folder / "none")
    options = SourceOptions(task="ordinal", class_order="none,dog")
    assert inspect_source(open_source(str(folder), options)).findings == ()


def test_classes_that_may_be_missing_labels_or_one_class_are_findings(folder):
    (folder / "cat").rename(folder / "nan")
    shutil.copytree(folder / "dog", folder / "Dog")
    findings = inspect(folder).findings
    assert any(
        each.startswith("a class named nan, as programs write a missing label, of 20 images") for each in findings
    )
    assert "classes whose names differ little, and may be one: 'Dog' and 'dog'" in findings
