"""Tests of tl_keras.data.gif; `test_every_kind` compares each variant with Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files_of_every_kind import GREY, PALETTE, encoded
from tl_keras.data.gif import decode_gif

WHITE = (255, 255, 255)


def test_the_first_frame_is_taken():
    file = encoded(PALETTE, "GIF", save_all=True, append_images=[GREY.convert("P")])
    np.testing.assert_array_equal(decode_gif(tf.constant(file), WHITE), PALETTE.convert("RGB"))


@pytest.mark.parametrize("background", [WHITE, (1, 2, 3)])
@pytest.mark.parametrize("options", [{}, {"comment": b"," * 300}], ids=["alone", "behind a comment"])
def test_transparent_pixels_have_the_colour_of_the_background(background, options):
    positions = np.array([[0, 1], [1, 0]], np.uint8)
    image = Image.fromarray(positions, "P")
    image.putpalette([50, 60, 70, 80, 90, 100])
    file = encoded(image, "GIF", transparency=1, **options)
    np.testing.assert_array_equal(
        decode_gif(tf.constant(file), background), np.array([(50, 60, 70), background])[positions]
    )


def smaller_frame(file):
    """Returns a file whose screen is a pixel wider than its frame."""
    return file[:6] + bytes([file[6] + 1]) + file[7:]


@pytest.mark.parametrize("damage", [smaller_frame, lambda file: file[:40], lambda file: file[:13] + b"\x21\xfe" * 5000])
def test_what_cannot_be_read_raises(damage):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_gif(tf.constant(damage(encoded(PALETTE, "GIF"))), WHITE)
