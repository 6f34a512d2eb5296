"""Tests of tl_keras.data.tfds: a small real dataset, prepared offline by TFDS itself."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.errors import DataError

CLASSES = ("daisy", "tulip")
FEATURES = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=CLASSES)}


def prepare(name, data_dir, splits, features=FEATURES):
    """Writes a dataset from lists of examples, in their order."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: list(enumerate(examples)) for split, examples in splits.items()},
        data_dir=data_dir,
        disable_shuffling=True,
    )


@pytest.fixture(scope="module")
def photos(shared_data):
    """Four photos a class and split: {"train": [path, ...], "test": [...]}."""
    return {
        split: [
            path for name in CLASSES for path in sorted((shared_data / "flowers5" / split / name).glob("*.jpg"))[:4]
        ]
        for split in ("train", "test")
    }


@pytest.fixture(scope="module")
def flowers(photos, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    examples = {
        split: [{"image": str(path), "label": path.parent.name} for path in paths] for split, paths in photos.items()
    }
    prepare("small_flowers", data_dir, {**examples, "extra": examples["test"][:1]})
    return open_source("tfds:small_flowers", SourceOptions(data_dir=str(data_dir)))


def test_splits_and_classes_are_those_of_the_dataset(flowers):
    assert flowers.class_names == CLASSES
    assert flowers.declared_splits.tolist() == ["train"] * 8 + ["test"] * 8
    assert flowers.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert flowers.ids[8] == "test:0"


def test_other_splits_are_left_out_with_a_note(flowers):
    assert flowers.notes == (
        "split extra left out: it is neither train, validation nor test; --splits=extra=train uses it",
    )


def test_its_revision_names_the_version(flowers):
    assert ":1.0.0" in flowers.contents_revision() or "/1.0.0" in flowers.contents_revision()


def test_images_are_the_bytes_of_the_photos(flowers, photos):
    read = {int(element["index"]): element["image"].numpy() for element in flowers.images(np.array([0, 9, 15]))}
    assert read == {
        0: photos["train"][0].read_bytes(),
        9: photos["test"][1].read_bytes(),
        15: flowers.encoded_image(15),
    }
    assert read[15] == photos["test"][7].read_bytes()


def test_a_seed_shuffles_within_a_pipeline(flowers):
    orders = tf.data.Dataset.range(2).flat_map(lambda seed: flowers.images(np.arange(8), shuffle_seed=seed))
    indices = [int(element["index"]) for element in orders]
    assert sorted(indices[:8]) == sorted(indices[8:]) == list(range(8))
    assert indices[:8] != indices[8:]


def test_a_split_without_labels_is_left_out(photos, tmp_path):
    examples = [{"image": str(path), "label": path.parent.name} for path in photos["train"]]
    prepare("hidden_test", tmp_path, {"train": examples, "test": [{**examples[0], "label": -1}]})
    source = open_source("tfds:hidden_test:1.0.0", SourceOptions(data_dir=str(tmp_path)))
    assert source.notes == ("split test left out: it has images without a label",)
    assert len(source) == 8


def test_a_dataset_without_images_is_refused(tmp_path):
    prepare("words", tmp_path, {"train": [{"text": "a"}]}, features={"text": tfds.features.Text()})
    with pytest.raises(DataError, match=r"expected the features image .* Received: text \(Text\)"):
        open_source("tfds:words", SourceOptions(data_dir=str(tmp_path)))


def test_a_dataset_without_known_splits_is_refused(photos, tmp_path):
    prepare("odd", tmp_path, {"everything": [{"image": str(photos["train"][0]), "label": 0}]})
    with pytest.raises(DataError, match="Received: everything"):
        open_source("tfds:odd", SourceOptions(data_dir=str(tmp_path)))


def test_an_unknown_dataset_offers_the_nearest(tmp_path):
    with pytest.raises(DataError, match="Did you mean mnist"):
        open_source("tfds:mnits", SourceOptions(data_dir=str(tmp_path)))


def test_an_unknown_version_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected NAME\[/config\]\[:version\]"):
        open_source("tfds:mnist:99.0.0", SourceOptions(data_dir=str(tmp_path)))


def test_a_failed_preparation_says_what_to_run(tmp_path, monkeypatch):
    def fail(builder):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(DataError, match=r"failed \(no network\)\. Run `tfds build mnist`"):
        open_source("tfds:mnist", SourceOptions(data_dir=str(tmp_path)))


def several(photos, labels):
    return [{"image": str(path), "labels": found} for path, found in zip(photos["train"], labels, strict=False)]


def test_a_sequence_of_class_labels_is_several_labels(photos, tmp_path):
    features = {"image": tfds.features.Image(), "labels": tfds.features.Sequence(FEATURES["label"])}
    examples = several(photos, [["tulip", "daisy"], [], ["daisy"], ["tulip"]])
    prepare("several", tmp_path, {"train": examples[:3], "test": examples[3:]}, features)
    source = open_source("tfds:several", SourceOptions(data_dir=str(tmp_path), task="multi_label"))
    assert source.class_names == CLASSES
    assert source.labels.tolist() == [[1, 1], [0, 0], [1, 0], [0, 1]]
    assert source.encoded_image(1) == photos["train"][1].read_bytes()


def test_the_refusal_of_several_labels_names_the_task(photos, tmp_path):
    features = {"image": tfds.features.Image(), "labels": tfds.features.Sequence(FEATURES["label"])}
    prepare("refused", tmp_path, {"train": several(photos, [["tulip", "daisy"], []])}, features)
    with pytest.raises(DataError, match="To learn several labels of an image, use --task=multi_label"):
        open_source("tfds:refused", SourceOptions(data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (tfds.features.Scalar(np.float32), [0.5, 2.0, 3.25]),
        (tfds.features.Tensor(shape=(2,), dtype=np.float32), [[0.5, 1.0], [2.0, 2.5], [3.25, -1.0]]),
    ],
    ids=["one", "two"],
)
def test_floats_are_numbers(photos, tmp_path, feature, values):
    examples = [{"image": str(path), "target": value} for path, value in zip(photos["train"], values, strict=False)]
    prepare("counted", tmp_path, {"train": examples}, {"image": tfds.features.Image(), "target": feature})
    source = open_source("tfds:counted", SourceOptions(data_dir=str(tmp_path), task="regression"))
    assert source.labels.tolist() == np.reshape(values, (3, -1)).tolist()
