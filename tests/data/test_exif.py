"""Tests of tl_keras.data.exif: the eight orientations, and blocks that hostile or broken files have."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files_of_every_kind import SMOOTH_RGB, as_pillow_reads, encoded, exif_block, turned
from tl_keras.data.decoding import READS_WEBP, decode_image
from tl_keras.data.exif import orientation_of, stored_window, turn_upright, unsigned_bytes

KINDS = [
    "JPEG",
    "PNG",
    pytest.param("WEBP", marks=pytest.mark.skipif(not READS_WEBP, reason="from TensorFlow 2.20 on")),
]

DAMAGED_BLOCKS = {
    "empty": b"",
    "cut short": exif_block(6)[:20],
    "another order": b"XX" + exif_block(6)[2:],
    "a directory far away": b"II*\0" + b"\xff" * 4,
    "many entries": b"II*\0" + b"\x08\0\0\0" + b"\xff" * 40,
    "no orientation": exif_block(6).replace(b"\x12\x01", b"\x13\x01"),
    "of another type": exif_block(6).replace(b"\x12\x01\x03", b"\x12\x01\x07"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read(kind, orientation):
    assert orientation_of(tf.constant(turned(kind, orientation))) == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it(orientation):
    file = turned("PNG", orientation)
    stored = np.asarray(Image.open(io.BytesIO(file)))
    np.testing.assert_array_equal(turn_upright(tf.constant(stored), tf.constant(orientation)), as_pillow_reads(file))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_window_of_the_upright_image_is_found_in_the_stored_one(orientation):
    orientation, stored = tf.constant(orientation), np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    upright = turn_upright(tf.constant(stored), orientation).numpy()
    start, size = (1, 2), (3, 2)
    window = stored_window(lambda shape: (tf.constant(start), tf.constant(size)), orientation)
    (top, left), (height, width) = (part.numpy() for part in window(tf.constant(stored.shape[:2])))
    part = turn_upright(tf.constant(stored[top : top + height, left : left + width]), orientation)
    np.testing.assert_array_equal(part, upright[1:4, 2:4])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", DAMAGED_BLOCKS.values(), ids=DAMAGED_BLOCKS)
def test_what_is_damaged_in_an_exif_block_is_upright(kind, block):
    file = turned(kind, 6, block=block or b"\0")
    np.testing.assert_array_equal(decode_image(tf.constant(file)).shape, (52, 68, 3))


@pytest.mark.parametrize("application_segment", [b"\xff\xe2\0\2" * 100_000, b"\xff\xff" * 100_000, b"\xff\xe1\xff\xff"])
def test_the_search_for_an_orientation_is_bounded(application_segment):
    file = encoded(SMOOTH_RGB, "JPEG")
    assert orientation_of(tf.constant(file[:2] + application_segment + file[2:])) == 1


def test_bytes_beyond_the_end_are_0():
    assert unsigned_bytes(tf.constant(b"\xff\x01"), 1, 3).numpy().tolist() == [1, 0, 0]
    assert unsigned_bytes(tf.constant(b"\xff\x01"), 9, 2).numpy().tolist() == [0, 0]
