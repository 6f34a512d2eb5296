"""Tests of tl_keras.data.label_rows: several labels, and numbers, from every source that has lists or vectors of them."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.arrays import ArraySource
from tl_keras.data.label_rows import encode_rows
from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), np.uint8)
FILES = [tf.io.encode_png(image).numpy() for image in IMAGES]
MARKS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 0]])
LISTS = [["cat", "tree"], [], ["dog"], ["cat", "dog"]]
POSITIONS = [[0, 2], [], [1], [0, 1]]
NUMBERS = [[1.5, 2.0], [0.0, 1.0], [3.0, -4.0], [2.5, 8.0]]
NAMES = ("cat", "dog", "tree")


@pytest.mark.parametrize(
    ("rows", "names", "expected", "expected_names"),
    [
        (MARKS, (), MARKS, ("0", "1", "2")),
        (MARKS.astype(float) + [[np.nan, 0, 0]] * 4, NAMES, [[-1, 0, 1], [-1, 0, 0], [-1, 1, 0], [-1, 1, 0]], NAMES),
        (LISTS, (), MARKS, NAMES),
        (
            [[each.encode() for each in row] for row in LISTS],
            ("dog", "tree", "cat"),
            MARKS[:, [1, 2, 0]],
            ("dog", "tree", "cat"),
        ),
        (POSITIONS, NAMES, MARKS, NAMES),
        ([[2], [10], [2]], (), [[1, 0], [0, 1], [1, 0]], ("2", "10")),  # a position in each
    ],
)
def test_lists_and_vectors_are_one_matrix(rows, names, expected, expected_names):
    found_names, found = encode_rows("s", list(rows), "labels", names)
    assert found_names == expected_names
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("rows", "kind", "names", "message"),
    [
        (POSITIONS, "labels", ("a", "b"), "from 0 to 1, for 2 names. Received 2"),
        (LISTS, "labels", ("cat", "dog"), "among cat, dog. Received tree"),
        (MARKS, "labels", ("cat", "dog"), "a name for each of 3 columns"),
        ([[1.0], [1.0, 2.0]], "numbers", (), "same count of numbers for each image"),
        (LISTS, "numbers", (), "same count of numbers for each image"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, kind, names, message):
    with pytest.raises(DataError, match=message):
        encode_rows("s", list(rows), kind, names)


def write_tfrecord(folder, rows):
    def feature(row):
        if row and isinstance(row[0], str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode() for each in row]))
        if row and isinstance(row[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=row))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=row))

    with tf.io.TFRecordWriter(str(folder / "a.tfrecord")) as writer:
        for file, row in zip(FILES, rows, strict=True):
            image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
            features = tf.train.Features(feature={"image": image, "label": feature(row)})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return f"tfrecord:{folder}/a.tfrecord"


def write_webdataset(folder, rows):
    with tarfile.open(folder / "a.tar", "w") as archive:
        for number, (file, row) in enumerate(zip(FILES, rows, strict=True)):
            for suffix, content in (("png", file), ("cls", ";".join(map(str, row)).encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return f"webdataset:{folder}/a.tar"


def write_npz(folder, rows):
    np.savez(folder / "a.npz", x_train=IMAGES, y_train=np.array(rows))
    return f"npz:{folder}/a.npz"


def write_parquet(folder, rows):
    pandas = pytest.importorskip("pandas")
    for number, file in enumerate(FILES):
        (folder / f"{number}.png").write_bytes(file)
    table = pandas.DataFrame({"path": [f"{number}.png" for number in range(4)], "labels": list(rows)})
    table.to_parquet(folder / "a.parquet")
    return f"parquet:{folder}/a.parquet"


def hugging_face(folder, rows):
    datasets = pytest.importorskip("datasets")
    columns = {"image": [{"bytes": file, "path": None} for file in FILES], "labels": [list(row) for row in rows]}
    made = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image(decode=False))
    if rows is POSITIONS:
        made = made.cast_column("labels", datasets.Sequence(datasets.ClassLabel(names=list(NAMES))))
    return made


def tf_data(folder, rows):
    return tf.data.Dataset.from_tensor_slices((IMAGES, np.array(rows))).batch(2)


@pytest.mark.parametrize(
    ("make", "rows", "names"),
    [
        (write_tfrecord, POSITIONS, ("0", "1", "2")),
        (write_tfrecord, MARKS.tolist(), ("0", "1", "2")),
        (write_webdataset, LISTS, NAMES),
        (write_npz, MARKS, ("0", "1", "2")),
        (write_parquet, LISTS, NAMES),
        (write_parquet, MARKS.tolist(), ("0", "1", "2")),
        (hugging_face, POSITIONS, NAMES),
        (hugging_face, LISTS, NAMES),
        (tf_data, MARKS, ("0", "1", "2")),
    ],
)
def test_every_source_has_several_labels(tmp_path, make, rows, names):
    source = open_source(make(tmp_path, rows), SourceOptions(task="multi_label"))
    assert source.class_names == names
    np.testing.assert_array_equal(source.labels, MARKS)


@pytest.mark.parametrize("make", [write_tfrecord, write_npz, hugging_face, tf_data])
def test_every_source_has_numbers(tmp_path, make):
    source = open_source(make(tmp_path, NUMBERS), SourceOptions(task="regression"))
    np.testing.assert_allclose(source.labels, NUMBERS)


@pytest.mark.parametrize("make", [write_tfrecord, write_npz, hugging_face, tf_data])
def test_several_labels_are_no_class_and_name_their_task(tmp_path, make):
    with pytest.raises(DataError, match="--task=multi_label"):
        open_source(make(tmp_path, MARKS.tolist()), SourceOptions(task="single_label"))


def test_what_fills_up_a_list_is_no_label():
    names, matrix = encode_rows("s", np.array([[b"x", b"y"], [b"y", b""]]), "labels")
    assert (names, matrix.tolist()) == (("x", "y"), [[1, 1], [0, 1]])


def test_lists_without_any_label_are_refused():
    with pytest.raises(DataError, match=r"expected labels\. Received none in 2 lists"):
        encode_rows("s", [[], []], "labels")


def test_of_numbers_the_wrong_one_is_shown():
    for rows, shown in (([[1.5], [np.nan]], "nan"), ([[1.5], [2.5, 3.5]], r"2\.5, 3\.5"), ([[1.5], ["x"]], "'x'")):
        with pytest.raises(DataError, match=rf"Received others, such as \[{shown}\]"):
            encode_rows("s", rows, "numbers")


def test_rows_with_one_label_each_are_classes():
    source = open_source(ArraySource(IMAGES, np.eye(4, 3, dtype=np.int64)[[0, 2, 1, 0]], class_names=NAMES))
    assert source.labels.tolist() == [0, 2, 1, 0]
    numbers = open_source(ArraySource(IMAGES, np.array([0.5, 1, 2, 3])), SourceOptions(task="regression"))
    assert (numbers.class_names, numbers.labels.shape) == (("value",), (4, 1))
