"""Tests of tl_keras.serving.refusals: which images are not decoded, and why."""

import io

import numpy as np
from PIL import Image

from tl_keras.serving.image_inputs import image_inputs
from tl_keras.serving.refusals import DAMAGED, refusals


def png(side):
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_each_image_gets_its_own_reason_in_order():
    whole, large, cut, other = png(8), png(40), png(20)[:-30], b"not an image"
    found = refusals(image_inputs([whole, large, cut, other, whole]), max_pixels=500)
    assert found[0] is found[4] is None
    assert "40 x 40" in found[1].error and found[1].reason
    assert found[2] == DAMAGED
    assert found[3].error and found[3] != found[1]
