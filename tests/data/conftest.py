"""Real tiny images for the tests of tl_keras.data."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.sources import open_source


@pytest.fixture
def write_image(tmp_path):
    """A function that writes a 12 by 16 image of random pixels below `tmp_path`; the same seed gives the same file."""

    def write(name, seed=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(name.encode()) if seed is None else seed
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def folder(tmp_path, write_image):
    """A directory with 20 images of each of two classes, cat and dog."""
    for number in range(20):
        write_image(f"photos/cat/{number:02}.png", seed=number)
        write_image(f"photos/dog/{number:02}.png", seed=100 + number)
    return tmp_path / "photos"


@pytest.fixture(scope="session", params=["digits", "records", "files"])
def source(request, tmp_path_factory):
    """A source of each kind of access, with at least 300 real images."""
    if request.param == "digits":
        return open_source("digits")
    data = request.getfixturevalue("shared_data")
    if request.param == "files":
        return open_source(str(data / "flowers5"))
    few = str(tmp_path_factory.mktemp("records") / "few.tfrecord")
    with tf.io.TFRecordWriter(few) as writer:
        for record in tf.data.TFRecordDataset(str(data / "cifar10" / "test.tfrecord")).take(300):
            writer.write(record.numpy())
    return open_source(f"tfrecord:{few}")
