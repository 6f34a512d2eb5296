"""Tests of tl_keras.serving.image_header."""

import io
import struct

import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.data.decoding import decode_image
from tl_keras.errors import DataError
from tl_keras.serving.image_header import ImageSize, read_image_size, resized_pixels


def encoded(kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, (37, 21)).save(file, kind, **options)
    return file.getvalue()


def with_small_screen(gif):
    """Returns a GIF that says 1 x 1 where most readers look; what is decoded are its frames."""
    return gif[:6] + struct.pack("<HH", 1, 1) + gif[10:]


def after_start(jpeg, *, inserted):
    return jpeg[:2] + inserted + jpeg[2:]


@pytest.mark.parametrize(
    "file",
    [
        encoded("JPEG"),
        encoded("JPEG", "L", progressive=True),
        encoded("JPEG", exif=b"Exif\x00\x00" + b"\xff\xc0" * 500),
        after_start(encoded("JPEG"), inserted=b"\xff\x01"),
        after_start(encoded("JPEG"), inserted=b"\xff\xd0\xff\xff\xd7"),
        encoded("PNG", "RGBA"),
        encoded("BMP"),
        encoded("GIF", "P"),
        with_small_screen(encoded("GIF", "P")),
        encoded("GIF", "P", comment=b"," * 300, transparency=0),
    ],
)
def test_the_size_is_what_is_decoded(file):
    assert read_image_size(file) == ImageSize(21, 37, 21 * 37)
    assert decode_image(tf.constant(file)).shape == (21, 37, 3)


def test_every_frame_of_a_gif_is_counted():
    gif = encoded("GIF", "P")
    frame = gif[gif.index(b",") : -1]
    assert read_image_size(gif[:-1] + 2 * frame + gif[-1:]) == ImageSize(21, 37, 3 * 21 * 37)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"hello",
        encoded("JPEG")[:20],
        encoded("PNG")[:18],
        encoded("GIF", "P")[:-10],
        b"\xff\xd8\xff\xe0\x00\x04ab??",
        after_start(encoded("JPEG"), inserted=b"\xff\x00"),
        after_start(encoded("JPEG"), inserted=b"\xff\xd8"),
        after_start(encoded("JPEG"), inserted=b"\xff\xd9"),
        encoded("GIF", "P")[:-1] + b"?",
        encoded("PNG").replace(b"IHDR", b"teXt"),
    ],
)
def test_what_is_no_image_is_one_line(file):
    with pytest.raises(DataError, match="image: expected"):
        read_image_size(file)


@pytest.mark.parametrize(
    ("rule", "size", "pixels"),
    [
        ("short_side", (1000, 800), 1000 * 800),
        ("short_side", (8, 16_000), 256 * 512_000),
        ("short_side", (100, 100), 256 * 256),
        ("squash", (1, 100_000), 224 * 100_000),
        ("squash", (8, 8), 224 * 224),
        ("pad", (100_000, 1), 100_000 * 224),
    ],
)
def test_resizing_a_narrow_image_takes_more_than_the_image(rule, size, pixels):
    crop_fraction = 224 / 256 if rule == "short_side" else 1.0
    spec = PreprocessSpec(224, rule, crop_fraction, "bilinear", antialias=True, normalization="tf")
    assert resized_pixels(spec, ImageSize(*size, size[0] * size[1])) == pixels
