"""Tests of tl_keras.data.labelling: what is done with labels of any kind before anything is learnt."""

import time

import numpy as np
import pytest

from tl_keras.data.labelling import labelling_of
from tl_keras.errors import DataError

CLASSES = np.array([0, 1, 1, 2])
SEVERAL = np.array([[1, 0, 1], [0, 1, 1], [0, 0, -1], [1, 1, 0]])
NUMBERS = np.array([[1.5], [2.0], [3.0], [10.0]])
NAMES = ("ant", "bee", "cat")


@pytest.mark.parametrize(("labels", "kind"), [(CLASSES, "class"), (SEVERAL, "labels"), (NUMBERS, "numbers")])
def test_the_kind_is_told_by_type_and_shape(labels, kind):
    assert labelling_of(labels).kind == kind


@pytest.mark.parametrize(
    ("labels", "names", "row", "text"),
    [
        (CLASSES, NAMES, 3, "cat"),
        (SEVERAL, NAMES, 2, "cat?"),
        (SEVERAL, NAMES, 0, "ant;cat"),
        (NUMBERS, ("age",), 0, "1.5"),
    ],
)
def test_a_label_is_written_as_text(labels, names, row, text):
    assert labelling_of(labels).text(labels[row], names) == text


def test_the_rarest_label_decides_the_stratum():
    many = np.array([[1, 0]] * 8 + [[1, 1]] * 2 + [[0, 0]])
    strata = labelling_of(many).strata(many)
    np.testing.assert_array_equal(strata, [0] * 8 + [1, 1] + [2])


def test_the_label_with_the_fewest_images_left_comes_next():
    many = (np.random.default_rng(0).random((300, 12)) < 0.15).astype(np.int64)
    expected, left = np.full(300, 12), many.any(axis=1)
    while left.any():
        counts = many[left].sum(axis=0)
        rarest = np.where(counts > 0, counts, 301).argmin()
        expected[left & (many[:, rarest] == 1)] = rarest
        left &= many[:, rarest] == 0
    np.testing.assert_array_equal(labelling_of(many).strata(many), expected)


def test_numbers_are_parted_into_tenths():
    values = np.random.default_rng(0).normal(size=(200, 1))
    strata = labelling_of(values).strata(values)
    np.testing.assert_array_equal(np.bincount(strata), [20] * 10)
    assert values[strata == 0].max() < values[strata == 9].min()


def test_a_label_that_training_lacks_is_named():
    train, held_out = np.array([[1, 0, 0]]), np.array([[0, 1, 0]])
    np.testing.assert_array_equal(labelling_of(train).not_trained(held_out, train), [1])


@pytest.mark.parametrize(
    ("labels", "contradict"),
    [
        (np.array([1, 1]), False),
        (np.array([1, 2]), True),
        (np.array([[1, -1, 0], [1, 0, -1]]), False),  # each tells what the other does not
        (np.array([[1, -1, 0], [0, 0, -1]]), True),
        (np.array([[1.5], [1.5]]), False),
        (np.array([[1.5], [2.5]]), True),
    ],
)
def test_copies_contradict_each_other_by_what_is_known_of_both(labels, contradict):
    assert labelling_of(labels).contradict(labels) == contradict


def test_findings_name_labels_that_teach_nothing():
    labels = np.zeros((20, 3), np.int64)
    labels[:, 0] = 1
    labels[:6, 1], labels[0, 2] = 1, -1
    found = " ".join(labelling_of(labels).findings(NAMES, labels))
    assert "that no image has, so that they cannot be learnt: cat" in found
    assert "that every image has, so that they cannot be learnt: ant" in found
    assert "not known, and take no part in training and measures: 1 of 60" in found


def test_an_image_whose_labels_are_not_all_known_is_not_said_to_have_none():
    labels = np.array([[1, 0, 1]] * 8 + [[0, 1, 0]] * 8 + [[0, 0, 0]] * 2 + [[0, -1, 0]])
    found = " ".join(labelling_of(labels).findings(NAMES, labels))
    assert "images with none of the labels: 2 of 19" in found
    assert "images of which no label is known to be there, and some are not known: 1 of 19" in found


def test_findings_name_labels_that_imply_each_other():
    labels = np.array([[1, 1, 0]] * 6 + [[0, 1, 1]] * 3 + [[0, 0, 1]] * 3)
    assert "labels that imply each other: ant implies bee" in list(labelling_of(labels).findings(NAMES, labels))


def test_labels_that_imply_each_other_are_found_soon_among_many():
    labels = (np.random.default_rng(0).random((20_000, 200)) < 0.05).astype(np.int64)
    labels[:, 7] |= labels[:, 3]
    labels[:2, 5] = -1
    names = [str(label) for label in range(200)]
    begun = time.process_time()
    assert "labels that imply each other: 3 implies 7" in list(labelling_of(labels).findings(names, labels))
    assert (
        time.process_time() - begun < 5
    )  # with a product of whole numbers, for which there is no fast library, over 10


def test_findings_name_a_number_far_from_all_others():
    values = np.append(np.arange(40.0), 4000.0)[:, np.newaxis]
    found = list(labelling_of(values).findings(("weight",), values))
    assert found == ["weight: 0 to 4000, median 20", "weight: 1 number far from all others: 4000"]


NOTHING_TO_LEARN = {
    "one class": (np.array([1, 1]), NAMES, "at least two classes. Received only bee"),
    "labels that all images have": (np.ones((4, 3), np.int64), NAMES, "that some images have and others have not"),
    "one number": (np.full((4, 1), 2.0), ("age",), "different numbers in age. Received only 2"),
}


@pytest.mark.parametrize(("labels", "names", "message"), NOTHING_TO_LEARN.values(), ids=NOTHING_TO_LEARN)
def test_where_there_is_nothing_to_learn_it_says_so(labels, names, message):
    with pytest.raises(DataError, match=message):
        labelling_of(labels).require_enough("s", names, labels, why="")


def test_labels_move_to_the_columns_of_a_model():
    labelling = labelling_of(SEVERAL)
    moved = labelling.in_order_of(SEVERAL[:1], NAMES, ("cat", "dog", "bee", "ant"))
    np.testing.assert_array_equal(moved, [[1, -1, 0, 1]])
    with pytest.raises(DataError, match="Received: cat"):
        labelling.in_order_of(SEVERAL, NAMES, ("ant", "bee"))


def test_findings_have_large_numbers_whole():
    prices = np.r_[np.linspace(180_000.0, 220_000.0, 40), 2_500_000.0][:, None]
    assert list(labelling_of(prices).findings(("price",), prices)) == [
        "price: 180000 to 2500000, median 200513",
        "price: 1 number far from all others: 2500000",
    ]
