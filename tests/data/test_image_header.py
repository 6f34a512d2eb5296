"""Tests of tl_keras.data.image_header."""

import contextlib
import io
import struct
import time

import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files_of_every_kind import EXACT, NEAR, WEBP, as_pillow_reads, bmp
from tl_keras.data import conversion
from tl_keras.data.decoding import READS_WEBP, decode_image
from tl_keras.data.image_header import MAX_SCANS, ImageSize, read_image_size, reason_not_to_decode
from tl_keras.errors import DataError


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
    size = read_image_size(file)
    assert (size.height, size.width, size.pixels) == (21, 37, 21 * 37)
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


@pytest.mark.skipif(not READS_WEBP, reason="TensorFlow reads WebP from 2.20 on")
@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0"}], ids=["lossy", "lossless", "extended"]
)
def test_the_size_of_a_webp_is_what_is_decoded(options):
    file = encoded("WEBP", **options)
    size = read_image_size(file)
    assert (size.height, size.width) == decode_image(tf.constant(file)).shape[:2]
    assert size.pixels == 21 * 37


@pytest.mark.parametrize("lossless", [False, True])
def test_an_animated_webp_is_named_and_not_decoded(lossless):
    file = encoded("WEBP", lossless=lossless, save_all=True, append_images=[Image.new("RGB", (37, 21), "red")])
    assert reason_not_to_decode(file, max_pixels=10**6).startswith("in animated WebP")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file))


def test_every_kind_that_is_decoded_passes_and_its_size_is_found():
    for kind, file in (EXACT | WEBP | NEAR).items():
        size, (height, width, _) = read_image_size(file), as_pillow_reads(file).shape
        assert {size.height, size.width} == {height, width}, kind


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG2000", "PPM"])
def test_files_of_other_kinds_are_named(kind, monkeypatch):
    monkeypatch.setattr(conversion, "can_convert", lambda: False)
    file = encoded(kind)
    reason = reason_not_to_decode(file, max_pixels=10**9)
    assert reason.startswith(f"in {kind.replace('2000', ' 2000')}")
    assert "tl_keras[formats]" in reason
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file))


# Files under the name of an image, and how the reason begins.
NO_IMAGES = {
    "empty": (b"", "empty"),
    "a web page": (b"<!DOCTYPE html><title>404</title>", "in HTML, a web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "in Git LFS, from which `git lfs pull`"),
    "a drawing": (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "in SVG"),
    "an icon": (encoded("ICO"), "in ICO"),
    "text": (b"hello", ""),
}


@pytest.mark.parametrize(("file", "reason"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_there_instead_of_an_image_is_said(file, reason):
    found = reason_not_to_decode(file, max_pixels=10**9)
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_heic_is_named_by_its_brand(monkeypatch):
    monkeypatch.setattr(conversion, "can_convert", lambda: False)
    assert reason_not_to_decode(b"\0\0\0\x18ftypheic" + bytes(20), max_pixels=1).startswith("in HEIC")


def test_a_compressed_bmp_is_named():
    file = bmp(8, [[1, 2], [3, 4]], palette=[(0, 0, 0)] * 256, compression=1)
    assert reason_not_to_decode(file, max_pixels=10).startswith("in compressed BMP")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file))


def test_a_gif_whose_first_frame_does_not_cover_the_image_is_named():
    gif = encoded("GIF", "P")
    larger_screen = gif[:6] + struct.pack("<HH", 40, 21) + gif[10:]
    assert reason_not_to_decode(larger_screen, max_pixels=10**6).startswith("in GIF with a first frame")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(larger_screen))


def test_too_large_is_not_damaged():
    with pytest.raises(
        DataError, match=r"image: too large\. Expected at most 776 pixels\. Received: 37 x 21, 777 pixels"
    ):
        read_image_size(encoded("PNG"), max_pixels=776)
    assert reason_not_to_decode(encoded("PNG"), max_pixels=776) == "too large, over 776 pixels (--max_pixels)"
    assert reason_not_to_decode(encoded("PNG"), max_pixels=777) == ""


def with_scans(scans):
    """Returns a progressive JPEG of at least so many scans: its last one, over and over."""
    file = encoded("JPEG", progressive=True)
    last = file[file.rindex(b"\xff\xda") : -2]
    return file[:-2] + (scans - file.count(b"\xff\xda")) * last + file[-2:]


@pytest.mark.parametrize(("mode", "scans"), [("L", 6), ("RGB", 10), ("CMYK", 18)])
def test_what_libjpeg_writes_is_far_below_the_bound(mode, scans):
    assert read_image_size(encoded("JPEG", mode, progressive=True)).scans == scans < MAX_SCANS / 5


def test_scans_are_counted_and_bounded():
    assert read_image_size(encoded("JPEG")).scans == 1
    assert read_image_size(with_scans(MAX_SCANS)).scans == MAX_SCANS
    with pytest.raises(DataError, match=r"at most 100 scans in a progressive JPEG\. Received: 101"):
        read_image_size(with_scans(MAX_SCANS + 1))


def test_a_jpeg_without_its_end_is_damaged_and_one_with_more_behind_is_not():
    file = encoded("JPEG", exif=b"Exif\0\0" + b"\xff\xd9" * 100)
    with pytest.raises(DataError, match="a JPEG without an end"):
        read_image_size(file[:-2])
    assert read_image_size(file + b"of the maker").width == 37


def test_the_film_behind_a_moving_photo_has_no_scans():
    film = b"\xff\xda" * (MAX_SCANS + 1)
    assert read_image_size(encoded("JPEG", progressive=True) + film).scans == 10
    assert reason_not_to_decode(encoded("JPEG") + film, max_pixels=10**6) == ""


def test_no_comment_hides_scans_behind_it():
    comment = b"\xff\xfe\0\4\xff\xd9"
    file = with_scans(MAX_SCANS + 1)
    first = file.index(b"\xff\xda")
    assert reason_not_to_decode(file[:first] + comment + file[first:], max_pixels=10**6).startswith("in progressive")


@pytest.mark.parametrize(
    "file",
    [
        after_start(encoded("JPEG"), inserted=b"\xff" * 7_000_000),
        after_start(encoded("JPEG"), inserted=b"\xff\xd0" * 3_500_000),
        after_start(encoded("JPEG"), inserted=b"\xff\xe0\0\2" * 2_000_000),
        encoded("GIF", "P")[:-1] + b"!\xfe" + b"\1a" * 3_500_000 + b"\0;",
        encoded("GIF", "P")[:-1] + b"!\xfe\0" * 2_500_000 + b";",
    ],
    ids=["fill bytes", "restarts", "segments", "sub-blocks", "extensions"],
)
def test_a_long_header_takes_no_long_time(file):
    start = time.process_time()
    with contextlib.suppress(DataError):
        read_image_size(file)
    assert time.process_time() - start < 0.5
