"""Tests of tl_keras.data.joined."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import AS_USUAL, inspect_source
from tl_keras.data.joined import with_unlabelled
from tl_keras.data.sources import open_source
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), np.uint8)


@pytest.fixture
def more(tmp_path):
    """A folder of five images, the first of which is a copy of a labelled one, and a damaged file."""
    (tmp_path / "more" / "whatever").mkdir(parents=True)
    for number in range(5):
        Image.fromarray(PIXELS[number + 3]).save(tmp_path / "more" / "whatever" / f"{number}.png")
    (tmp_path / "more" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "more"


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_the_images_follow_each_other_and_copies_are_left_out(kind, more, tmp_path):
    labelled = ArraySource(PIXELS[:4], ["cat", "dog"] * 2)
    if kind == "files":
        for number in range(4):
            (tmp_path / "photos" / "cd"[number % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(PIXELS[number]).save(tmp_path / "photos" / "cd"[number % 2] / f"{number}.png")
        labelled = open_source(str(tmp_path / "photos"))
    inspection = inspect_source(labelled)
    joined = with_unlabelled(labelled, inspection, open_unlabelled(str(more)), AS_USUAL, remembered_in=tmp_path)
    files = {joined.source.ids[index] for index in joined.unlabelled.tolist()}
    copied = {"files": {"unlabelled:whatever/0.png"}, "arrays": set()}[
        kind
    ]  # an array and a file have no hash in common
    assert files == {f"unlabelled:whatever/{number}.png" for number in range(5)} - copied
    assert "1 image cannot be decoded and is left out: damaged.png" in joined.source.notes
    assert joined.source.revision() == labelled.revision()
    assert joined.inspection.data_hash == inspection.data_hash
    read = joined.source.images(joined.unlabelled, then=lambda each: tf.io.decode_image(each["image"]))
    np.testing.assert_array_equal(np.stack(list(read)), PIXELS[9 - 1 - len(files) : 8])
    first = tf.io.decode_image(joined.source.encoded_image(0)).numpy()
    np.testing.assert_array_equal(first, PIXELS[0])


def test_texts_are_refused(more, tmp_path):
    labelled = ArraySource(PIXELS[:4], ["cat", "dog"] * 2)
    labelled.noun = "text"
    with pytest.raises(DataError, match="expected images in files or arrays"):
        with_unlabelled(labelled, None, open_unlabelled(str(more)), AS_USUAL, remembered_in=tmp_path)
