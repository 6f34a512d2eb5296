"""Tests of tl_keras.data.bmp, on files written by hand; `test_every_kind` compares each variant with Pillow."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.files_of_every_kind import bmp
from tl_keras.data.bmp import decode_bmp

ALPHA_MASKS = (0xFF0000, 0x00FF00, 0x0000FF, 0xFF000000)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)]


def test_alpha_comes_from_its_mask():
    file = bmp(32, [[0x01020304, 0xFF0A0B0C]], compression=3, masks=ALPHA_MASKS, header=56)
    np.testing.assert_array_equal(decode_bmp(tf.constant(file)), [[[2, 3, 4, 1], [10, 11, 12, 255]]])


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("depth", [1, 4, 8])
def test_palette_positions_become_opaque_colours_row_by_row(depth, top_down):
    rows = np.arange(10).reshape(2, 5) % min(2**depth, 4)
    decoded = decode_bmp(tf.constant(bmp(depth, rows, palette=COLOURS, top_down=top_down)))
    np.testing.assert_array_equal(decoded[..., :3], np.array(COLOURS)[rows])
    assert decoded.numpy()[..., 3].min() == 255


def test_a_position_beyond_the_palette_is_black():
    assert decode_bmp(tf.constant(bmp(8, [[200]], palette=COLOURS))).numpy().tolist() == [[[0, 0, 0, 255]]]


WHOLE = bmp(24, [[0x112233, 0x445566]])
DAMAGED = {
    "ends early": WHOLE[:-3],
    "of 2 bits": WHOLE[:28] + b"\2" + WHOLE[29:],
    "compressed": WHOLE[:30] + b"\1" + WHOLE[31:],
    "without a row": WHOLE[:22] + bytes(4) + WHOLE[26:],
    "of more pixels than an integer counts": WHOLE[:18] + b"\xff\xff\xff\x7f" * 2 + WHOLE[26:],
}


@pytest.mark.parametrize("file", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_raises(file):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_bmp(tf.constant(file))
