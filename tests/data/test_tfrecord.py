"""Tests of tl_keras.data.tfrecord."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.inspection import inspect_source
from tl_keras.data.options import SourceOptions
from tl_keras.data.tfrecord import TFRecordSource
from tl_keras.errors import DataError


@pytest.fixture
def write_records(tmp_path):
    """A function that writes (image bytes, label) pairs; labels are integers or strings."""

    def write(name, pairs):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for image, label in pairs:
                value = (
                    tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
                    if isinstance(label, int)
                    else tf.train.Feature(bytes_list=tf.train.BytesList(value=[label.encode()]))
                )
                features = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])), "label": value}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
        return f"{tmp_path}/*.tfrecord"

    return write


def images_of(source, indices, **options):
    return [(int(e["index"]), e["image"].numpy()) for e in source.images(np.array(indices), **options)]


def test_files_are_read_in_order_and_named_by_position(write_records):
    write_records("b.tfrecord", [(b"2", 1), (b"3", 0)])
    source = TFRecordSource(write_records("a.tfrecord", [(b"0", 0), (b"1", 2)]))
    assert source.ids == ["a.tfrecord:0", "a.tfrecord:1", "b.tfrecord:0", "b.tfrecord:1"]
    assert source.labels.tolist() == [0, 2, 1, 0]
    assert source.class_names == ("0", "1", "2")
    assert images_of(source, [3, 0, 2]) == [(0, b"0"), (2, b"2"), (3, b"3")]
    assert [source.encoded_image(index) for index in range(4)] == [b"0", b"1", b"2", b"3"]


def test_file_names_declare_splits(write_records):
    for name in ("train-00000-of-00001.tfrecord", "flowers_val.tfrecord", "seg_testing.tfrecord"):
        pattern = write_records(name, [(b"", 0)])
    assert TFRecordSource(pattern).declared_splits.tolist() == ["validation", "test", "train"]


def test_files_that_declare_a_split_and_files_that_do_not_are_not_pooled(write_records):
    for name in ("train-0.tfrecord", "test-0.tfrecord", "trainees.tfrecord"):
        pattern = write_records(name, [(name.encode(), 0)])
    with pytest.raises(
        DataError, match=r"none in trainees.tfrecord. Say what they are: --splits=trainees.tfrecord=train"
    ):
        TFRecordSource(pattern)
    options = SourceOptions(splits="trainees.tfrecord=validation")
    assert TFRecordSource(pattern, options).declared_splits.tolist() == ["test", "train", "validation"]
    source = TFRecordSource(pattern, SourceOptions(splits="trainees.tfrecord=unused"))
    assert source.ids == ["test-0.tfrecord:0", "train-0.tfrecord:0"]
    assert source.notes == ("files left out: trainees.tfrecord",)


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB", ""])
def test_compressed_files_are_read(write_records, tmp_path, compression):
    write_records("a.tfrecord", [(b"0", 0), (b"1", 1)])
    with tf.io.TFRecordWriter(str(tmp_path / "b.tfrecord"), compression) as writer:
        for record in tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")):
            writer.write(record.numpy())
    source = TFRecordSource(f"{tmp_path}/*.tfrecord")
    assert images_of(source, range(4)) == [(0, b"0"), (1, b"1"), (2, b"0"), (3, b"1")]
    assert source.encoded_image(3) == b"1"


def test_a_plain_record_of_a_length_like_a_header_of_zlib_is_read(write_records):
    for size in range(0x78 - 40, 0x78 + 1):  # one of the records is 0x78 bytes long
        pattern = write_records(f"{size}.tfrecord", [(b"x" * size, 0)])
    assert len(TFRecordSource(pattern)) == 41


@pytest.mark.parametrize("folder", ["run[1]", "a[b", "x]"])
def test_brackets_in_names_are_no_pattern(write_records, tmp_path, folder):
    (tmp_path / folder).mkdir()
    write_records(f"{folder}/a.tfrecord", [(b"0", 0)])
    assert len(TFRecordSource(f"{tmp_path}/{folder}/*.tfrecord")) == 1
    assert len(TFRecordSource(f"{tmp_path}/{folder}/a.tfrecord")) == 1


def test_labels_txt_names_the_classes(write_records, tmp_path):
    pattern = write_records("a.tfrecord", [(b"", 1), (b"", 0)])
    (tmp_path / "labels.txt").write_text("zebra\napple\nemu\n")
    assert TFRecordSource(pattern).class_names == ("zebra", "apple", "emu")


def test_labels_may_be_names(write_records):
    source = TFRecordSource(write_records("a.tfrecord", [(b"", "dog"), (b"", "cat")]))
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [1, 0]


def test_names_follow_labels_txt_where_it_is(write_records, tmp_path):
    pattern = write_records("a.tfrecord", [(b"", "dog"), (b"", "cat")])
    (tmp_path / "labels.txt").write_text("dog\ncat\n")
    assert TFRecordSource(pattern).labels.tolist() == [0, 1]


def test_shuffling_mixes_files_and_loses_nothing(write_records):
    for file in range(3):
        pattern = write_records(f"{file}.tfrecord", [(b"%d" % (file * 20 + k), 0) for k in range(20)])
    source = TFRecordSource(pattern)
    wanted = list(range(0, 60, 2))
    shuffled = images_of(source, wanted, shuffle_seed=tf.constant(5, tf.int64))
    assert sorted(shuffled) == images_of(source, wanted)
    assert len({index // 20 for index, _ in shuffled[:10]}) == 3


def test_cifar10_is_read(shared_data):
    source = TFRecordSource(f"{shared_data}/cifar10/*.tfrecord")
    assert len(source) == 24_000
    assert source.class_names[3] == "cat"
    assert np.count_nonzero(source.declared_splits == "test") == 4_000
    assert tf.io.decode_jpeg(source.encoded_image(23_999)).shape == (32, 32, 3)


def test_a_pattern_that_no_file_fits_is_refused(tmp_path):
    with pytest.raises(DataError, match="no file fits"):
        TFRecordSource(f"{tmp_path}/*.tfrecord")


def test_files_without_records_are_refused(write_records):
    with pytest.raises(DataError, match="expected records in 1 file"):
        TFRecordSource(write_records("a.tfrecord", []))


def test_other_features_are_named(tmp_path):
    features = {"picture": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b""]))}
    with tf.io.TFRecordWriter(f"{tmp_path}/a.tfrecord") as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    with pytest.raises(DataError, match=r"Received: picture \(bytes_list\)"):
        TFRecordSource(f"{tmp_path}/a.tfrecord")


def test_a_record_without_an_image_is_left_out_and_the_others_are_read(tmp_path):
    png = tf.io.encode_png(np.zeros((4, 4, 3), np.uint8) + 7).numpy()
    with tf.io.TFRecordWriter(f"{tmp_path}/a.tfrecord") as writer:
        for number in range(12):
            features = {"label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2]))}
            if number != 5:
                features["image"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    source = TFRecordSource(f"{tmp_path}/a.tfrecord")
    decodable = np.flatnonzero(inspect_source(source).decodable)
    np.testing.assert_array_equal(decodable, np.delete(np.arange(12), 5))
    assert len(images_of(source, decodable, shuffle_seed=tf.constant(1, tf.int64))) == 11


def test_other_records_are_refused(tmp_path):
    with tf.io.TFRecordWriter(f"{tmp_path}/a.tfrecord") as writer:
        writer.write(b"\xff\xff\xff no example")
    with pytest.raises(DataError, match=r"expected tf\.train\.Example records"):
        TFRecordSource(f"{tmp_path}/a.tfrecord")


@pytest.mark.parametrize("content", [b"this is no record file at all", b""])
def test_a_damaged_file_is_refused(tmp_path, write_records, content):
    pattern = write_records("a.tfrecord", [(b"x" * 100, 0)] * 20)
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content or path.read_bytes()[:-50])
    with pytest.raises(DataError, match="damaged"):
        TFRecordSource(pattern)


def test_labels_of_two_types_are_refused(write_records):
    with pytest.raises(DataError, match="all of one type"):
        TFRecordSource(write_records("a.tfrecord", [(b"", 0), (b"", "dog")]))


def test_labels_beyond_labels_txt_are_refused(write_records, tmp_path):
    pattern = write_records("a.tfrecord", [(b"", 0), (b"", 3)])
    (tmp_path / "labels.txt").write_text("zebra\napple\nemu\n")
    with pytest.raises(DataError, match=r"from 0 to 2, for the 3 names in .* Received 0 to 3"):
        TFRecordSource(pattern)


def test_names_that_labels_txt_lacks_are_refused(write_records, tmp_path):
    pattern = write_records("a.tfrecord", [(b"", "cat"), (b"", "emu")])
    (tmp_path / "labels.txt").write_text("dog\ncat\n")
    with pytest.raises(DataError, match="Received emu"):
        TFRecordSource(pattern)


def test_a_feature_tells_groups(tmp_path):
    def write(name, *groups):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for number, group in enumerate(groups):
                feature = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"%d" % number])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2])),
                    "group": tf.train.Feature(bytes_list=tf.train.BytesList(value=[group])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())

    with pytest.raises(DataError, match=r"expected the feature patient .*1 file without it"):
        write("a.tfrecord", b"p1")
        TFRecordSource(f"{tmp_path}/a.tfrecord", SourceOptions(columns="group=patient"))
    write("a.tfrecord", b"p1", b"p1", b"p2")
    write("b.tfrecord", b"p2")
    groups = TFRecordSource(f"{tmp_path}/*.tfrecord").groups
    assert (groups.by, groups.names.tolist()) == ("the feature group", ["p1", "p1", "p2", "p2"])
    assert TFRecordSource(f"{tmp_path}/*.tfrecord", SourceOptions(columns="group=none")).groups is None


def test_a_file_without_groups_makes_all_of_them_ungrouped(tmp_path, write_records):
    test_a_feature_tells_groups(tmp_path)
    assert TFRecordSource(write_records("c.tfrecord", [(b"9", 1)])).groups is None
