"""Whatever form an image comes in, its answer is that of the file."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from tl_keras.errors import DataError
from tl_keras.serving.image_inputs import encoded_images, image_inputs
from tl_keras.serving.predictor import predict_images


def pixels_of(file):
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def opened(file):
    return Image.open(io.BytesIO(file.read_bytes()))


FORMS = {
    "str": str,
    "Path": lambda file: file,
    "bytes": lambda file: file.read_bytes(),
    "bytearray": lambda file: bytearray(file.read_bytes()),
    "Pillow": opened,
    "Pillow RGBA": lambda file: opened(file).convert("RGBA"),
    "Pillow palette": lambda file: opened(file).convert("L").convert("P"),
    "uint8 RGB": pixels_of,
    "int64 RGB": lambda file: pixels_of(file).astype(np.int64),
    "float32 RGB": lambda file: pixels_of(file).astype(np.float32),
    "float64 RGB not rounded": lambda file: np.clip(pixels_of(file) + 0.3, 0, 255),
    "uint8 grey": lambda file: pixels_of(file)[..., 0],
    "float16 grey": lambda file: pixels_of(file)[..., :1].astype(np.float16),
    "uint8 RGBA": lambda file: np.dstack([pixels_of(file), np.full(pixels_of(file).shape[:2], 255, np.uint8)]),
}


@pytest.fixture(scope="module")
def file(run):
    return run.path / "images" / "3.png"


@pytest.fixture(scope="module")
def answer(run, file):
    (row,) = predict_images(run.path / "saved_model", file)
    return row


@pytest.mark.long
def test_all_forms_in_one_list_are_answered_as_the_file_is(run, file, answer):
    given = [make(file) for name, make in FORMS.items() if name != "Path"]
    rows = predict_images(run.path / "saved_model", given)
    assert [row["file"] for row in rows] == [str(file), *(f"images[{place}]" for place in range(1, len(given)))]
    assert {row["label"] for row in rows} == {answer["label"]}
    np.testing.assert_allclose([row["score"] for row in rows], answer["score"], atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_one_image_needs_no_list(form, file):
    (image,) = image_inputs(FORMS[form](file))
    assert image.name == (str(file) if form in ("str", "Path") else "images[0]")
    (contents,) = encoded_images([image]).as_numpy_iterator()
    np.testing.assert_array_equal(pixels_of(io.BytesIO(contents)), pixels_of(file))


def test_an_array_of_images_is_so_many(file):
    assert len(image_inputs(np.stack([pixels_of(file)] * 3))) == 3


def test_a_folder_among_others_is_its_images_and_each_file_comes_once(run, file):
    names = [image.name for image in image_inputs([file, run.path / "images", file.read_bytes()])]
    assert names[0] == str(file)
    assert len(names) == 11
    assert names[-1] == "images[2]"


def test_a_file_that_is_given_twice_has_two_places(file):
    assert [image.name for image in image_inputs([file, b"a", str(file)])] == [str(file), "images[1]", str(file)]


@pytest.mark.parametrize("column", [np.array, lambda paths: np.array(paths, object)])
def test_a_column_of_paths_is_a_list(file, column):
    assert [image.name for image in image_inputs(column([str(file)] * 2))] == [str(file)] * 2


def test_a_name_that_is_not_utf_8_is_read(file, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(file.read_bytes())
    (contents,) = encoded_images(image_inputs(tmp_path)).as_numpy_iterator()
    assert contents == file.read_bytes()


def test_a_pillow_photo_is_turned_as_its_file_is():
    photo, orientation = Image.fromarray(np.zeros((4, 6, 3), np.uint8)), Image.Exif()
    orientation[0x0112] = 6
    file = io.BytesIO()
    photo.save(file, "JPEG", exif=orientation)
    (image,) = image_inputs(Image.open(file))
    assert Image.open(io.BytesIO(image.contents)).size == (4, 6)


def test_bytes_that_are_no_image_are_an_error_in_their_row(run, file):
    broken, whole = predict_images(run.path / "saved_model", [b"not an image", file])
    assert "another kind of file" in broken["error"]
    assert broken["reason"] == ""
    assert "label" in whole


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (3, "Received: int"),
        ([{}], r"images\[0\]: expected a path.*Received: dict"),
        (np.zeros((5, 5, 2)), r"shape \(5, 5, 2\)"),
        (np.zeros((0, 5)), r"shape \(0, 5\)"),
        (np.zeros((1, 2, 2, 2, 3)), r"shape \(1, 2, 2, 2, 3\)"),
        (np.full((2, 2), "a"), "array of <U1"),
        (np.full((2, 2), 256), "values from 0 to 255. Received: 256"),
        (np.full((2, 2), -1.0), "values from 0 to 255. Received: -1.0"),
        (np.full((2, 2), np.nan), "values from 0 to 255. Received: nan"),
        (np.full((2, 2), 0.5), "Multiply by 255"),
        ([], "Received: none"),
        ("missing.jpg", "missing.jpg, which does not exist"),
    ],
)
def test_what_is_no_image_is_one_line(images, message):
    with pytest.raises(DataError, match=message) as raised:
        image_inputs(images)
    assert "\n" not in str(raised.value)
