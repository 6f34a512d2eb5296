"""Tests of tl_keras.data.base: what holds for every source, random access and records alike."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.arrays import ArraySource
from tl_keras.data.base import encode_classes
from tl_keras.data.order import shuffle_in_blocks
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError

INDICES = np.arange(0, 300, 3)


def order_of(images):
    return [int(index) for index in images.map(lambda element: element["index"]).as_numpy_iterator()]


def shuffled(source, seed):
    return order_of(source.images(INDICES, shuffle_seed=tf.constant(seed, tf.int64)))


def test_without_a_seed_the_order_is_that_of_storage(source):
    assert order_of(source.images(INDICES[::-1])) == INDICES.tolist()


def test_a_seed_decides_the_order(source):
    first = shuffled(source, 1)
    assert sorted(first) == INDICES.tolist()
    assert first == shuffled(source, 1) != shuffled(source, 2)
    assert np.mean(np.array(first) == INDICES) < 0.1


@pytest.mark.parametrize("global_seed", [0, 1])
def test_global_seeds_do_not_matter(source, global_seed):
    expected = shuffled(source, 5)
    tf.random.set_seed(global_seed)
    assert shuffled(source, 5) == expected


def test_the_seed_may_be_symbolic(source):
    epochs = tf.data.Dataset.range(1, 3).flat_map(lambda seed: source.images(INDICES, shuffle_seed=seed))
    assert order_of(epochs) == shuffled(source, 1) + shuffled(source, 2)


def test_a_graph_holds_nothing_as_long_as_the_data(source):
    @tf.function
    def last_index(seed):
        images = source.images(np.arange(len(source)), shuffle_seed=seed)
        return images.reduce(tf.constant(0, tf.int64), lambda _, element: element["index"])

    graph = last_index.get_concrete_function(tf.TensorSpec((), tf.int64)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert max(node.ByteSize() for node in nodes) < 1_000


def test_blocks_are_shuffled_each_on_its_own():
    numbers = tf.data.Dataset.range(25).map(lambda index: {"index": index})
    order = order_of(shuffle_in_blocks(numbers, tf.constant([0, 1], tf.int64), block_size=10))
    assert [sorted(order[:10]), sorted(order[10:20]), sorted(order[20:])] == [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 25)),
    ]
    assert order[:10] != [number - 10 for number in order[10:20]]


@pytest.mark.parametrize(
    ("labels", "names", "positions"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (["10", "9", "-1"], ("-1", "9", "10"), [2, 1, 0]),
        (["10", "9", "x"], ("10", "9", "x"), [0, 1, 2]),
        (["10", "9", "--5"], ("--5", "10", "9"), [1, 2, 0]),
        (["9" * 5000, "10"], ("10", "9" * 5000), [1, 0]),
    ],
)
def test_classes_are_sorted(labels, names, positions):
    found_names, found_positions = encode_classes(labels)
    assert found_names == names
    assert found_positions.tolist() == positions


@pytest.mark.parametrize("labels", [[b"a", b"f\xfcnf"], ["a", "f\udcfcnf"]])
def test_a_class_whose_name_is_no_utf_8_is_refused_before_training(labels):
    with pytest.raises(DataError, match=r"names of classes in UTF-8\. Received: f\\udcfcnf"):
        ArraySource(np.zeros((2, 4, 4), np.uint8), np.array(labels))


def test_a_label_that_numpy_would_cut_is_refused():
    with pytest.raises(DataError, match=r"without NUL characters\. Received: cat\\x00"):
        encode_classes(["cat", "cat\0"])


def test_a_revision_is_the_same_until_an_image_a_class_or_a_split_changes(folder, write_image):
    def revision():
        return open_source(str(folder)).revision()

    before = revision()
    assert revision() == before
    write_image("photos/cat/00.png", seed=7)
    changed = revision()
    (folder / "dog").rename(folder / "wolf")
    assert len({before, changed, revision()}) == 3


def test_every_source_has_a_revision(source):
    assert source.revision()


def test_a_class_that_is_named_twice_is_refused():
    with pytest.raises(DataError, match=r"arrays: expected each name of a class once\. Received crane twice"):
        ArraySource(np.zeros((3, 4, 4), np.uint8), [0, 1, 2], class_names=["crane", "cat", "crane"])
