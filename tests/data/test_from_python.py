"""Tests of tl_keras.data.from_python."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.inspection import inspect_source
from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError


@pytest.fixture
def files(tmp_path, write_image):
    """Twelve images of cat and dog, and their labels."""
    names = [f"{'cat' if number % 2 else 'dog'}/{number}.png" for number in range(12)]
    return [str(write_image(name)) for name in names], [number % 2 for number in range(12)]


@pytest.fixture
def hugging_face(files):
    """A dataset of Hugging Face with columns picture and kind."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["dog", "cat"])})
    return datasets.Dataset.from_dict({"picture": files[0], "kind": files[1]}, features=features)


def test_a_hugging_face_dataset_is_read(hugging_face, files):
    source = open_source(hugging_face)
    assert source.class_names == ("cat", "dog")
    assert [source.class_names[label] for label in source.labels] == ["dog", "cat"] * 6
    (element,) = source.images(np.array([3]))
    assert element["image"].numpy() == pathlib.Path(files[0][3]).read_bytes() == source.encoded_image(3)


def test_its_splits_are_declared(hugging_face):
    datasets = pytest.importorskip("datasets")
    parts = datasets.DatasetDict({"train": hugging_face, "validation": hugging_face, "extra": hugging_face})
    with pytest.raises(DataError, match=r"Received extra. Say what they mean: --splits=extra=unused"):
        open_source(parts)
    source = open_source(parts, SourceOptions(splits="extra=unused"))
    assert source.declared_splits.tolist() == ["train"] * 12 + ["validation"] * 12
    assert source.notes == ("splits left out: extra (12 images)",)
    assert source.encoded_image(15) == source.encoded_image(3)


def test_it_is_read_from_disk_and_from_parquet(hugging_face, tmp_path):
    hugging_face.save_to_disk(str(tmp_path / "saved"))
    hugging_face.to_parquet(str(tmp_path / "images.parquet"))
    from_disk, from_parquet = (open_source(f"hf:{tmp_path}/{name}") for name in ("saved", "images.parquet"))
    assert from_disk.revision() == open_source(f"hf:{tmp_path}/saved").revision() != from_parquet.revision()
    assert from_disk.encoded_image(5) == from_parquet.encoded_image(5) == open_source(hugging_face).encoded_image(5)
    with pytest.raises(DataError, match="Use hf:"):
        open_source(f"parquet:{tmp_path}/images.parquet")


def test_elements_that_are_small_are_shuffled_in_large_blocks():
    pixels, labels = np.random.default_rng(0).integers(0, 256, (1500, 8, 8, 3)).astype(np.uint8), np.arange(1500) // 150
    source = open_source(tf.data.Dataset.from_tensor_slices((pixels, labels)))
    first = source.images(np.arange(1500), shuffle_seed=tf.constant(1, tf.int64)).take(32)
    assert len({int(element["index"]) // 150 for element in first}) > 5


def test_only_its_images_are_read_and_as_they_are_stored(hugging_face):
    given = hugging_face.add_column("mask", [{"path": "/there/is/none.png", "bytes": None}] * 12)
    given = given.cast_column("mask", hugging_face.features["picture"]).with_transform(
        lambda rows: {"x": [0] * len(rows)}
    )
    source = open_source(given, SourceOptions(columns="image=picture"))
    assert source.class_names == ("cat", "dog")
    assert source.encoded_image(3) == open_source(hugging_face).encoded_image(3)


def test_a_split_without_the_column_of_labels_is_left_out_and_one_without_images_refused(hugging_face):
    source = open_source(splits(train=hugging_face, test=hugging_face.remove_columns("kind")))
    assert source.notes == ("splits left out: test (it has images without a label)",)
    with pytest.raises(DataError, match=r"expected a column picture in each split\. Received none in test"):
        open_source(splits(train=hugging_face, test=hugging_face.rename_column("picture", "image")))


def test_a_stream_of_rows_is_refused(hugging_face):
    for stream in (hugging_face.to_iterable_dataset(), {"train": hugging_face.to_iterable_dataset()}):
        given = pytest.importorskip("datasets").IterableDatasetDict(stream) if isinstance(stream, dict) else stream
        with pytest.raises(DataError, match=r"Received a stream, IterableDataset\. Load it without streaming=True"):
            open_source(given)


def test_its_column_of_patients_tells_groups(hugging_face):
    patients = hugging_face.add_column("Patient ID", [number // 3 for number in range(12)])
    groups = open_source(patients).groups
    assert groups.by == "the column Patient ID" and groups.names.tolist() == sorted("0123" * 3)
    assert open_source(patients, SourceOptions(columns="group=none")).groups is None
    assert open_source(patients, SourceOptions(group_by="Patient ID")).groups.by == "the column Patient ID"
    with pytest.raises(DataError, match=r"expected a column house. Received picture, kind, Patient ID"):
        open_source(patients, SourceOptions(columns="group=house"))


def test_a_column_that_tells_no_groups_is_not_looked_for_in_names(hugging_face):
    patients = hugging_face.add_column("row", list(range(12)))
    with pytest.raises(DataError, match=r"by --group_by=row, a column\. Received none with two images"):
        open_source(patients, SourceOptions(group_by="row"))


def splits(**parts):
    """Returns splits of a dataset of Hugging Face."""
    return pytest.importorskip("datasets").DatasetDict(parts)


def rows(names, labels, kind=None):
    """Returns a dataset of Hugging Face, of images of one colour, whose labels have names; `kind` makes lists of them."""
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=names) if names else datasets.Value("int64")
    features = datasets.Features({"image": datasets.Image(), "label": kind(label) if kind else label})
    file = tf.io.encode_png(np.zeros((4, 4, 3), np.uint8)).numpy()
    images = [{"bytes": file, "path": None} for _ in labels]
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)


def test_each_split_has_the_names_of_its_own_classes():
    source = open_source(splits(train=rows(["cat", "dog"], [0, 0, 1]), test=rows(["dog", "cat"], [0, 1])))
    assert [source.class_names[label] for label in source.labels] == ["cat", "cat", "dog", "dog", "cat"]


def test_each_split_has_the_names_of_its_own_labels():
    datasets = pytest.importorskip("datasets")
    parts = splits(
        train=rows(["cat", "dog"], [[0], [0, 1], []], datasets.Sequence),
        test=rows(["dog", "cat"], [[0]], datasets.Sequence),
    )
    source = open_source(parts, SourceOptions(task="multi_label"))
    assert (source.class_names, source.labels.tolist()) == (("cat", "dog"), [[1, 0], [1, 1], [0, 0], [0, 1]])


def test_names_in_one_split_only_are_refused():
    with pytest.raises(DataError, match=r"names of classes in all splits or in none\. Received none in test"):
        open_source(splits(train=rows(["cat", "dog"], [0, 1]), test=rows([], [0])))


def test_a_row_without_a_label_is_refused_and_a_split_without_any_is_left_out():
    with pytest.raises(DataError, match=r"expected a label in each row\. Received none in train:1, and in 1 more"):
        open_source(splits(train=rows(["cat", "dog"], [0, None, 1, None])))
    source = open_source(splits(train=rows(["cat", "dog"], [0, 1]), test=rows(["cat", "dog"], [None, None])))
    assert source.notes == ("splits left out: test (it has images without a label)",)


def test_a_missing_group_is_none(hugging_face):
    patients = hugging_face.add_column("patient", ["a", None, None, "a"] + list("bbccddee"))
    assert open_source(patients).groups.names.tolist() == ["a", "", "", "a"] + list("bbccddee")


def test_its_files_are_converted(tmp_path):
    datasets = pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pillow_heif", reason="pip install 'tl_keras[formats]'")
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    image.fromarray(picture).save(tmp_path / "a.tif")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    given = {"image": [str(tmp_path / "a.tif")] * 4, "label": [0, 1, 0, 1]}
    source = open_source(
        datasets.Dataset.from_dict(given, features=features), SourceOptions(cache_folder=str(tmp_path / "cache"))
    )
    assert inspect_source(source).decodable.all()
    np.testing.assert_array_equal(tf.io.decode_png(source.encoded_image(0)), picture)


def test_a_column_that_is_absent_is_named(hugging_face):
    with pytest.raises(DataError, match=r"expected a column colour. Received picture, kind"):
        open_source(hugging_face, SourceOptions(columns="label=colour"))


def pixels(count=12):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count) % 2


PIPELINES = {
    "one by one": lambda dataset: dataset,
    "in batches": lambda dataset: dataset.batch(5),
    "in dictionaries": lambda dataset: dataset.map(lambda image, label: {"image": image, "label": label}),
    "one-hot rows": lambda dataset: dataset.map(lambda image, label: (image, tf.one_hot(label, 2))),
    "as files": lambda dataset: dataset.map(lambda image, label: (tf.io.encode_png(image), label)),
    "names": lambda dataset: dataset.map(lambda image, label: (image, tf.as_string(label))),
}


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_a_tf_data_dataset_is_read(pipeline):
    images, labels = pixels()
    source = open_source(pipeline(tf.data.Dataset.from_tensor_slices((images, labels))))
    assert source.labels.tolist() == labels.tolist()
    assert source.class_names == ("0", "1")
    assert source.revision() == open_source(pipeline(tf.data.Dataset.from_tensor_slices((images, labels)))).revision()
    assert (
        source.revision()
        != open_source(pipeline(tf.data.Dataset.from_tensor_slices((255 - images, labels)))).revision()
    )
    for element in source.images(np.array([3, 7])):
        expected = images[int(element["index"])]
        image = element["image"]
        found = tf.io.decode_png(image) if image.dtype == tf.string else image
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(tf.io.decode_png(source.encoded_image(int(element["index"]))), expected)


def slices():
    return tf.data.Dataset.from_tensor_slices(pixels())


REFUSED = {
    "shuffled": (lambda: slices().shuffle(12), "others the second time. Leave out shuffle"),
    "repeated": (lambda: slices().repeat(), "Leave out repeat"),
    "floats": (lambda: slices().map(lambda i, x: (tf.cast(i, tf.float32), x)), "expected elements .image, label."),
    "no label": (lambda: slices().map(lambda i, x: {"image": i, "class": x}), "expected elements .image, label."),
    "nothing": (lambda: slices().take(0), "Received an empty dataset"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_a_dataset_that_cannot_be_read_again_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        open_source(make())


def test_another_object_is_refused():
    with pytest.raises(DataError, match="Received ndarray"):
        open_source(np.zeros(3))
