"""Every variant of every format that docs/data.md lists decodes as Pillow reads it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.files_of_every_kind import EXACT, NEAR, WEBP, as_pillow_reads
from tl_keras.data.decoding import READS_WEBP, decode_image

KINDS = EXACT | (WEBP if READS_WEBP else {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("background", ["white", "black"])
def test_decodes_exactly_as_pillow_reads_it(kind, background):
    decoded = decode_image(tf.constant(KINDS[kind]), background=background)
    np.testing.assert_array_equal(decoded, as_pillow_reads(KINDS[kind], background))


@pytest.mark.parametrize("kind", NEAR)
def test_decodes_nearly_as_pillow_reads_it(kind):
    difference = decode_image(tf.constant(NEAR[kind])).numpy().astype(int) - as_pillow_reads(NEAR[kind])
    assert np.abs(difference).mean() < 4
