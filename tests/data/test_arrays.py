"""Tests of tl_keras.data.arrays."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.arrays import ArraySource, digits_source, npz_source
from tl_keras.data.options import SourceOptions
from tl_keras.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)
LABELS = [0, 1, 2, 0, 1, 2]


def test_integer_labels_are_named_by_their_digits():
    source = ArraySource(IMAGES, LABELS)
    assert source.class_names == ("0", "1", "2")
    assert source.ids[5] == "array:5"
    assert source.labels.dtype == np.int64


def test_names_may_be_given_for_classes_without_images():
    assert ArraySource(IMAGES, LABELS, class_names=["a", "b", "c", "d"]).class_names == ("a", "b", "c", "d")


def test_string_labels_are_classes():
    source = ArraySource(IMAGES, list("bababa"))
    assert source.class_names == ("a", "b")
    assert source.labels.tolist() == [1, 0, 1, 0, 1, 0]


def test_string_labels_take_the_order_of_class_names():
    assert ArraySource(IMAGES, list("bababa"), class_names=["b", "a"]).labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_missing_split_is_none():
    source = ArraySource(IMAGES, LABELS, splits=["train", "val", None, float("nan"), "", "train"])
    assert source.declared_splits.tolist() == ["train", "validation", "", "", "", "train"]


def test_splits_are_declared():
    splits = ArraySource(IMAGES, LABELS, splits=["train", "train", "val", "val", "test", ""]).declared_splits
    assert splits.tolist() == ["train", "train", "validation", "validation", "test", ""]


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_a_missing_group_is_none(missing):
    assert ArraySource(IMAGES, LABELS, groups=["a", "a", missing, missing, "b", "b"]).groups.names.tolist() == [
        *("a", "a", "", "", "b", "b")
    ]


def test_pixels_are_read_as_given():
    elements = list(ArraySource(IMAGES, LABELS).images(np.array([4, 1])))
    assert [int(element["index"]) for element in elements] == [1, 4]
    np.testing.assert_array_equal(elements[1]["image"], IMAGES[4])


def test_a_revision_copies_no_pixels():
    source = ArraySource(np.zeros((40, 100, 100, 3), np.uint8), [0, 1] * 20)
    source.contents_revision()
    tracemalloc.start()
    source.contents_revision()
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_greyscale_gets_a_channel():
    (element,) = ArraySource(IMAGES[..., 0], LABELS).images(np.array([2]))
    np.testing.assert_array_equal(element["image"], IMAGES[2, :, :, :1])


def test_the_encoded_image_holds_the_same_pixels():
    encoded = ArraySource(IMAGES, LABELS).encoded_image(3)
    np.testing.assert_array_equal(tf.io.decode_png(encoded), IMAGES[3])


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (IMAGES / 255, LABELS, {}, r"Received float64\. Give 0 to 255"),
        (IMAGES.tolist(), LABELS, {}, "Received list"),
        (IMAGES[0, 0], LABELS, {}, r"Received \(4, 3\)"),
        (IMAGES[..., :2], LABELS, {}, r"Received \(6, 5, 4, 2\)\. Put the channels last"),
        (IMAGES, LABELS[:5], {}, r"entry of labels per image, shape \(6,\)\. Received shape \(5,\)"),
        (IMAGES, LABELS, {"splits": ["train"]}, "entry of splits per image"),
        (IMAGES, LABELS, {"splits": ["train", "odd"] * 3}, "Received: odd"),
        (IMAGES, [1, 2, 3, 1, 2, 3], {}, "from 0 to 2, for 3 classes. Received 1 to 3"),
        (IMAGES, LABELS, {"class_names": ["a", "b"]}, "from 0 to 1, for 2 classes. Received 0 to 2"),
        (IMAGES, list("abcabc"), {"class_names": ["a", "b"]}, r"among class_names\. Received c"),
        (IMAGES, np.zeros((5, 3), int), {}, r"Received shape \(5, 3\)"),
        (
            IMAGES,
            np.eye(6, 3, dtype=int),
            {"class_names": ["a", "b"]},
            "a name for each of 3 columns of labels. Received 2",
        ),
        (IMAGES, np.float32([*LABELS[:5], np.nan]), {}, "same count of numbers"),
        (IMAGES, np.array(["a", "b", None] * 2, object), {}, r"names of classes\. Received None among them"),
        (IMAGES, np.array(["a", "b", 3] * 2, object), {}, r"names of classes\. Received 3 among them"),
        (IMAGES, np.array([0, 1, 2] * 2, object), {}, r"Received 0 among them\. .* or convert labels of numbers"),
    ],
)
def test_mistakes_are_named(images, labels, options, message):
    with pytest.raises(DataError, match=message):
        ArraySource(images, labels, **options)


def test_digits_use_the_whole_range():
    source = digits_source()
    pixels = np.stack([element["image"] for element in source.images(np.arange(50))])
    assert len(source) == 1797
    assert source.class_names == tuple("0123456789")
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_an_npz_file_declares_train_and_test(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES[:4], y_train=[[0], [1], [0], [1]], x_test=IMAGES[4:], y_test=[[0], [1]])
    source = npz_source(str(tmp_path / "a.npz"))
    assert source.declared_splits.tolist() == ["train"] * 4 + ["test"] * 2
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1]


def zeros(count, size=8):
    return np.zeros((count, size, size, 3), np.uint8)


# Arrays, options; splits, and the note.
ARRAYS = {
    "x_val": (
        {"x_train": zeros(2), "y_train": [0, 1], "x_val": zeros(1), "y_val": [1]},
        "",
        ["train"] * 2 + ["validation"],
    ),
    "x_valid": (
        {"X_train": zeros(1), "Y_train": [0], "x_valid": zeros(1), "y_valid": [0]},
        "",
        ["train", "validation"],
    ),
    "MedMNIST": (
        {
            f"{split}_{kind}": zeros(1) if kind == "images" else [[0]]
            for split in ("train", "test")
            for kind in ("images", "labels")
        },
        "",
        ["train", "test"],
    ),
    "another name": ({"x_train": zeros(1), "y_train": [0], "x_b": zeros(1), "y_b": [0]}, "b=test", ["train", "test"]),
}


@pytest.mark.parametrize(("arrays", "splits", "declared"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_are_found_by_their_names(tmp_path, arrays, splits, declared):
    np.savez(tmp_path / "a.npz", **arrays)
    source = npz_source(str(tmp_path / "a.npz"), SourceOptions(splits=splits))
    assert source.declared_splits.tolist() == declared
    assert source.notes == ()


REFUSED_ARRAYS = {
    "of another size": (
        {"x_train": zeros(1), "y_train": [0], "x_test": zeros(1, 9), "y_test": [0]},
        r"train \(8, 8, 3\), test \(9, 9, 3\)",
    ),
    "of another split": ({"x_train": zeros(1), "y_train": [0], "x_b": zeros(1), "y_b": [0]}, "--splits=b=unused"),
    "two of a split": (
        {"x_train": zeros(1), "y_train": [0], "x_val": zeros(1), "y_val": [0], "x_dev": zeros(1), "y_dev": [0]},
        "one pair of arrays for validation",
    ),
    "other labels than images, as many in all": (
        {"x_train": zeros(3), "y_train": [0, 1], "x_test": zeros(2), "y_test": [[0], [1], [0]]},
        "as many labels as images in each split. Received train 3 images and 2 labels, test 2 images and 3 labels",
    ),
    "rows beside integers": (
        {"x_train": zeros(2), "y_train": np.eye(2), "x_test": zeros(1), "y_test": [0]},
        r"labels of one kind.*train float64 \(2, 2\), test int64 \(1,\)",
    ),
    "names beside integers": (
        {"x_train": zeros(2), "y_train": ["a", "b"], "x_test": zeros(1), "y_test": [0]},
        r"labels of one kind.*train <U1 \(2,\), test int64 \(1,\)",
    ),
    "one number instead of images": ({"x_train": np.uint8(1), "y_train": 0}, "Received train no list of images"),
    "a number for all": ({"x_train": zeros(1), "y_train": 0}, "Received train 1 image and no list of labels"),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        npz_source(str(tmp_path / "a.npz"))


def test_arrays_that_are_not_used_are_counted(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=zeros(1), y_train=[0], x_test=zeros(1), extra=[1])
    assert npz_source(str(tmp_path / "a.npz")).notes == ("arrays left out: extra, x_test",)


def test_mnist_is_read(shared_data):
    source = npz_source(str(shared_data / "mnist.npz"))
    assert len(source) == 70_000
    assert np.count_nonzero(source.declared_splits == "test") == 10_000


def test_an_npz_file_of_other_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=r"Received: images, labels\. Rename them"):
        npz_source(str(tmp_path / "a.npz"))


def test_an_npz_file_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.array([None]), y_train=[0])
    with pytest.raises(DataError, match="numpy cannot read"):
        npz_source(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_npz_file_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="Received another or a damaged one"):
        npz_source(str(tmp_path / "a.npz"))
