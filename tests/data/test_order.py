"""Tests of tl_keras.data.order: how often an image comes, and in which order."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.arrays import ArraySource
from tl_keras.data.order import ordered
from tl_keras.data.tfrecord import TFRecordSource

LABELS = np.array([0] * 40 + [1] * 8 + [2] * 2)
WEIGHTS = (len(LABELS) / 3 / np.bincount(LABELS))[LABELS]


def seed_of(number):
    return tf.constant(number, tf.int64)


def test_each_class_comes_as_often_and_each_of_its_images_nearly():
    counts = np.zeros(len(LABELS))
    for number in range(60):
        drawn = ordered(np.arange(50), shuffle_seed=seed_of(number), weights=WEIGHTS).numpy()
        assert len(drawn) == 50
        times = np.bincount(drawn, minlength=50)
        np.testing.assert_array_less(np.abs(times - WEIGHTS), 1)
        counts += times
    np.testing.assert_allclose(np.bincount(LABELS, counts) / 60, 50 / 3, rtol=0.05)
    assert (counts[:40] > 10).all()  # over the epochs every image is seen
    assert ordered(np.arange(50), shuffle_seed=seed_of(59), weights=WEIGHTS).numpy().tolist() == drawn.tolist()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same 50 images, read at random and as a stream."""
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    file = str(tmp_path_factory.mktemp("records") / "a.tfrecord")
    with tf.io.TFRecordWriter(file) as writer:
        for image, label in zip(images, LABELS.tolist(), strict=True):
            png = tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.encode_png(image).numpy()]))
            features = {"image": png, "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return {"arrays": ArraySource(images, LABELS), "records": TFRecordSource(file)}


@pytest.mark.parametrize("kind", ["arrays", "records"])
def test_sources_read_an_image_as_often_as_it_is_drawn(sources, kind):
    indices = np.arange(1, 50)
    options = {"shuffle_seed": seed_of(3), "weights": WEIGHTS}
    read = [int(element["index"]) for element in sources[kind].images(indices, **options)]
    drawn = ordered(indices, shuffle_seed=seed_of(3), weights=WEIGHTS).numpy()
    assert sorted(read) == sorted(drawn.tolist())
    part = sources[kind].images(indices, positions=np.array([0, 4, 9]), **options)
    assert [int(element["index"]) for element in part] == [read[0], read[4], read[9]]
