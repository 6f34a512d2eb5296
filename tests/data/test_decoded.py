"""Tests of tl_keras.data.decoded."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.decoded import DecodedSource, held_decoded
from tl_keras.data.decoding import READS_WEBP, decode_image
from tl_keras.data.inspection import inspect_source
from tl_keras.data.pipeline import evaluation_batches, labels_of
from tl_keras.data.sources import open_source


@pytest.fixture
def photos(folder):
    return open_source(str(folder))


def pixels_of(source, indices):
    batches = evaluation_batches(
        source, indices, transform=decode_image, targets=labels_of(source), global_batch_size=8
    )
    return np.concatenate([images for images, _ in batches])


def pixels_of_files(source, indices):
    """The pixels of each file by itself, without a pipeline, which takes a second to start where any kind may come."""
    return np.stack([decode_image(tf.constant(source.encoded_image(index))) for index in sorted(indices)])


def test_the_pixels_are_those_of_the_files(photos):
    indices = np.array([7, 3, 30])
    held = held_decoded(photos, indices, inspect_source(photos), decode=decode_image, limit_gib=1)
    assert isinstance(held, DecodedSource)
    np.testing.assert_array_equal(pixels_of(held, indices), pixels_of(photos, indices))


@pytest.mark.parametrize(
    "kinds", [("JPEG",), ("PNG",), ("BMP",), ("GIF",), ("WebP",), ("JPEG", "PNG"), ("BMP", "WebP")]
)
def test_sources_whose_kinds_are_known_give_the_same_pixels(tmp_path, kinds):
    if "WebP" in kinds and not READS_WEBP:
        pytest.skip("TensorFlow reads WebP from 2.20 on")
    rng = np.random.default_rng(0)
    for number in range(6):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        kind = kinds[number % len(kinds)]
        Image.fromarray(rng.integers(0, 256, (10, 20, 3), np.uint8)).save(place / f"{number}.{kind.lower()}", kind)
    source, indices = open_source(str(tmp_path)), np.arange(6)
    known = inspect_source(source).known(source)
    assert (known.file_kinds, known.only_upright) == (set(kinds), True)
    assert source.file_kinds is None
    expected = pixels_of_files(source, indices)
    np.testing.assert_array_equal(pixels_of(known, indices), expected)
    held = DecodedSource(known, indices, decode_image)
    np.testing.assert_array_equal(pixels_of(held, indices), expected)


def test_of_images_that_are_not_held_what_is_known_stays_known(photos):
    known = inspect_source(photos).known(photos)
    held = DecodedSource(known, np.arange(5), decode_image)
    file = known.decodable({"image": tf.constant(known.encoded_image(9))})
    assert file.kinds == held.decodable({"image": tf.constant(known.encoded_image(9))}).kinds == {"PNG"}


def test_files_are_not_read_again(photos, folder):
    held = DecodedSource(photos, np.arange(40), decode_image)
    before = pixels_of_files(photos, np.arange(40))
    for file in folder.glob("*/*"):
        file.unlink()
    np.testing.assert_array_equal(pixels_of(held, np.arange(40)), before)


def test_the_order_of_files_is_the_same(photos):
    indices = np.arange(40)
    orders = [
        [int(element["index"]) for element in source.images(indices, shuffle_seed=np.int64(5))]
        for source in (photos, DecodedSource(photos, indices, decode_image))
    ]
    assert orders[0] == orders[1]


def test_other_images_are_read_from_the_source(photos):
    held = DecodedSource(photos, np.arange(5), decode_image)
    np.testing.assert_array_equal(pixels_of(held, np.arange(9)), pixels_of_files(photos, np.arange(9)))


def test_what_takes_too_much_is_left_where_it_is(photos):
    inspection = inspect_source(photos)
    nbytes = 40 * 12 * 16 * 3
    assert (
        held_decoded(photos, np.arange(40), inspection, decode=decode_image, limit_gib=(nbytes - 1) / 2**30) is photos
    )
    assert held_decoded(photos, np.arange(40), inspection, decode=decode_image, limit_gib=nbytes / 2**30) is not photos


def test_pixels_in_memory_are_left_as_they_are():
    digits = open_source("digits")
    assert held_decoded(digits, np.arange(9), inspect_source(digits), decode=decode_image, limit_gib=1) is digits
