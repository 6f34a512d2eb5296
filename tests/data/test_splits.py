"""Tests of tl_keras.data.splits."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource, digits_source
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.splits import split_source
from tl_keras.errors import DataError

RANDOM = np.random.default_rng(0)


def split(source, *, validation_fraction=0.2, test_fraction=0.2, seed=0, **options):
    return split_source(
        source,
        inspect_source(source),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        **options,
    )


def split_of_id(source, **options):
    splits = split(source, **options)
    return {source.ids[i]: name for name in ("train", "validation", "test") for i in getattr(splits, name)}


def random_images(labels, **options):
    return ArraySource(RANDOM.integers(0, 256, (len(labels), 4, 4), np.uint8), labels, **options)


@pytest.fixture(scope="module")
def digits():
    source = digits_source()
    return source, inspect_source(source)


def test_every_image_lands_in_one_split_of_about_the_size_asked_for(digits):
    splits = split_source(*digits, validation_fraction=0.2, test_fraction=0.3, seed=0)
    together = np.sort(np.concatenate([splits.train, splits.validation, splits.test]))
    np.testing.assert_array_equal(together, np.arange(1797))
    assert len(splits.validation) / 1797 == pytest.approx(0.2, abs=0.03)
    assert len(splits.test) / 1797 == pytest.approx(0.3, abs=0.03)


def test_splits_are_stratified_in_expectation(digits):
    source, inspection = digits
    splits = split_source(source, inspection, validation_fraction=0.2, test_fraction=0.3, seed=0)
    held_out = np.bincount(source.labels[splits.validation]) / np.bincount(source.labels)
    np.testing.assert_allclose(held_out, 0.2, atol=0.1)


def test_another_seed_is_another_assignment(digits):
    first, again, other = (
        split_source(*digits, validation_fraction=0.2, test_fraction=0.0, seed=seed).validation for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 0.3 * len(first)


def test_adding_files_moves_no_other(folder, write_image):
    before = split_of_id(FolderSource(str(folder)))
    write_image("photos/cat/000_new.png", seed=1000)
    write_image("photos/ape/new.png", seed=1001)
    after = split_of_id(FolderSource(str(folder)))
    assert before.items() <= after.items()
    assert len(after) == 42


def test_renaming_moves_nothing(folder):
    before = split_of_id(FolderSource(str(folder)))
    (folder / "cat/00.png").rename(folder / "cat/zz.png")
    assert split_of_id(FolderSource(str(folder)))["cat/zz.png"] == before["cat/00.png"]


def test_equal_content_lands_in_one_split(folder):
    for path in sorted((folder / "cat").iterdir()):
        shutil.copy(path, path.with_name(f"copy_of_{path.name}"))
    split_of = split_of_id(FolderSource(str(folder)))
    assert all(split_of[f"cat/{n:02}.png"] == split_of[f"cat/copy_of_{n:02}.png"] for n in range(20))


def test_damaged_images_are_nowhere(folder):
    (folder / "cat/03.png").write_text("no image")
    assert "cat/03.png" not in split_of_id(FolderSource(str(folder)))


def test_a_declared_test_split_is_kept_and_validation_comes_from_train():
    source = random_images([0, 1] * 100, splits=["train"] * 150 + ["test"] * 50)
    splits = split(source, test_fraction=0.5)
    np.testing.assert_array_equal(splits.test, np.arange(150, 200))
    assert 15 < len(splits.validation) < 50
    assert len(splits.train) + len(splits.validation) == 150


def test_a_declared_validation_split_is_kept():
    splits = split(random_images([0, 1] * 10, splits=["train"] * 10 + ["val"] * 10))
    np.testing.assert_array_equal(splits.train, np.arange(10))
    np.testing.assert_array_equal(splits.validation, np.arange(10, 20))
    assert len(splits.test) == 0


def test_without_a_declaration_an_image_beside_declared_ones_is_for_training():
    splits = split(random_images([0, 1] * 3, splits=["train", "train", "", "", "val", "val"]))
    np.testing.assert_array_equal(splits.train, np.arange(4))


@pytest.mark.parametrize("seed", range(20))
def test_two_images_of_a_class_are_one_to_train_and_one_to_validate(seed):
    source = random_images([0, 0, 1, 1])
    splits = split(source, seed=seed, test_fraction=0.3)
    assert source.labels[splits.train].tolist() == source.labels[splits.validation].tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_a_single_image_of_a_class_is_trained_on(seed):
    assert 0 in split(random_images([0] + [1] * 20), seed=seed).train


def test_few_examples_a_class_are_kept_for_training(digits):
    source, inspection = digits
    options = {"validation_fraction": 0.2, "test_fraction": 0.2, "seed": 0}
    everything = split_source(source, inspection, **options)
    few = split_source(source, inspection, **options, train_examples_per_class=10)
    more = split_source(source, inspection, **options, train_examples_per_class=20)
    assert np.bincount(source.labels[few.train]).tolist() == [10] * 10
    assert set(few.train) < set(more.train) < set(everything.train)
    np.testing.assert_array_equal(few.validation, everything.validation)


def test_the_record_names_every_image(folder):
    source = FolderSource(str(folder))
    splits = split(source, seed=3)
    record = json.loads(json.dumps(splits.to_json(source)))
    assert sorted(record["train"] + record["validation"] + record["test"]) == source.ids
    assert (record["seed"], record["validation_fraction"], record["test_fraction"]) == (3, 0.2, 0.2)
    assert record["validation"] == [source.ids[index] for index in splits.validation]


def test_declared_in_their_source_they_are_made_again(digits):
    source, _ = digits
    few = dataclasses.replace(split(source), train=np.arange(40), validation=np.arange(40, 60), test=np.arange(70, 80))
    again = split(few.declared_in(source))
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(again, name), getattr(few, name))
    assert set(source.declared_splits) == {""}


def test_without_images_to_validate_on_it_stops():
    with pytest.raises(DataError, match=r"expected images for validation\. Received none among 2"):
        split(random_images([0, 1]))


def test_a_held_out_class_without_training_images_is_refused():
    with pytest.raises(DataError, match="Received 1 in validation or test only"):
        split(random_images([0, 0, 1, 1], splits=["train", "val", "test", "test"]))
