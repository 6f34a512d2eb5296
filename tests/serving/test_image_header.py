"""Tests of tl_keras.serving.image_header."""

import io

import pytest
from PIL import Image

from tl_keras.errors import DataError
from tl_keras.serving.image_header import read_image_size


def encoded(kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, (37, 21)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "file",
    [
        encoded("JPEG"),
        encoded("JPEG", "L", progressive=True),
        encoded("JPEG", exif=b"Exif\x00\x00" + b"\xff\xc0" * 500),
        encoded("PNG", "RGBA"),
        encoded("BMP"),
        encoded("GIF", "P"),
    ],
)
def test_the_size_is_read_from_the_header(file):
    assert read_image_size(file) == (21, 37)


@pytest.mark.parametrize(
    "file", [b"", b"hello", encoded("JPEG")[:20], encoded("PNG")[:18], b"\xff\xd8\xff\xe0\x00\x04ab??"]
)
def test_what_is_no_image_is_one_line(file):
    with pytest.raises(DataError, match="image: expected"):
        read_image_size(file)
