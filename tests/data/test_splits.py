"""Tests of tl_keras.data.splits."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource, digits_source
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.splits import split_sizes, split_source
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


@dataclasses.dataclass
class Seen:
    """What `split_source` reads of an inspection."""

    sha256: np.ndarray
    decodable: np.ndarray


def named_images(labels, contents, **options):
    """A source of images that are known by the names of their contents, and its inspection."""
    source = ArraySource(np.zeros((len(labels), 1, 1), np.uint8), labels, **options)
    return source, Seen(np.array(contents), np.ones(len(labels), bool))


def split_named(labels, contents, *, seed=0, validation_fraction=0.15, test_fraction=0.15):
    """Returns the split of every image, str (n,)."""
    source, seen = named_images(labels, contents)
    splits = split_source(source, seen, validation_fraction=validation_fraction, test_fraction=test_fraction, seed=seed)
    split_of = np.full(len(labels), "nowhere", "U10")
    for name in ("train", "validation", "test"):
        split_of[getattr(splits, name)] = name
    return split_of


@pytest.mark.parametrize(
    ("classes", "images", "sizes"),
    [
        (2, 50, (70, 15, 15)),
        (5, 20, (70, 15, 15)),
        (10, 10, (70, 15, 15)),
        (2, 30, (42, 9, 9)),
        (2, 12, (16, 4, 4)),
        (4, 6, (16, 4, 4)),
        (3, 8, (18, 3, 3)),
    ],
)
def test_the_sizes_are_those_that_were_asked_for(classes, images, sizes):
    labels = np.repeat(np.arange(classes), images)
    for seed in range(5):
        split_of = split_named(labels, [f"{i}" for i in range(len(labels))], seed=seed)
        assert tuple(np.sum(split_of == name) for name in ("train", "validation", "test")) == sizes


@pytest.mark.parametrize("fractions", [(0.15, 0.15), (0.1, 0.5), (0.2, 0.1), (0.05, 0.15), (0.3, 0.3), (0.1, 0.0)])
@pytest.mark.parametrize("test_first", [False, True])
def test_each_size_is_right_to_one_image_and_grows_with_the_class(fractions, test_first):
    validation, test = fractions
    asked = np.array([1 - validation - test, validation, test])
    before = np.array([1, 0, 0])
    assert split_sizes(1, validation, test, test_first=test_first) == (1, 0, 0)
    for images in range(2, 400):
        sizes = np.array(split_sizes(images, validation, test, test_first=test_first))
        assert sizes.sum() == images
        assert sizes.min(where=asked > 0, initial=images) >= (1 if images >= 10 else 0)
        assert min(sizes[:2]) >= 1
        np.testing.assert_array_less(np.abs(sizes - asked * images), 1 + 1e-9 if images > 2 else 2)
        assert sorted(sizes - before) == [0, 0, 1]
        before = sizes


@pytest.mark.parametrize("images", [2, 3, 4, 6, 7, 10, 13, 20, 33, 50, 100])
@pytest.mark.parametrize("seed", range(3))
def test_adding_a_file_moves_at_most_one_image_across_each_border_of_train(images, seed):
    labels = np.repeat([0, 1], images)
    contents = [f"{seed} {i}" for i in range(2 * images)]
    before = split_named(labels, contents, seed=seed)
    for added in range(12):
        after = split_named([*labels, 1], [*contents, f"added {added}"], seed=seed)[:-1]
        moved = np.flatnonzero(before != after)
        assert np.all(labels[moved] == 1)
        borders = [frozenset((before[i], after[i])) for i in moved]
        assert len(borders) == len(set(borders)) <= 2
        assert frozenset(("validation", "test")) not in borders


def test_two_images_move_for_as_many_added_files_as_is_said():
    moved = []
    for seed in range(40):
        contents = [f"{seed} {i}" for i in range(40 + seed)]
        before = split_named([0] * len(contents), contents, seed=seed)
        for added in range(25):
            after = split_named([0] * (len(contents) + 1), [*contents, f"added {added}"], seed=seed)[:-1]
            moved.append(np.sum(before != after))
    assert max(moved) <= 2
    assert np.mean(np.array(moved) == 2) == pytest.approx(2 * 0.15 * 0.15, abs=0.02)


def test_copies_are_in_one_split_also_under_two_labels():
    labels = np.repeat([0, 1, 2], 30)
    contents = [f"{i % 40}" for i in range(90)]  # of which most are under two labels, or twice
    for seed in range(20):
        split_of = split_named(labels, contents, seed=seed)
        for content in set(contents):
            assert len({split_of[i] for i in range(90) if contents[i] == content}) == 1


@pytest.mark.parametrize(
    ("images", "remark"),
    [(24, "few images to measure on: 4 for validation and 4 for test."), (100, "15 for validation and 15"), (200, "")],
)
def test_a_split_that_is_too_small_to_measure_on_is_named(images, remark):
    source, seen = named_images(np.arange(images) % 2, [f"{i}" for i in range(images)])
    remarks = split_source(source, seen, validation_fraction=0.15, test_fraction=0.15, seed=0).remarks()
    assert len(remarks) == bool(remark)
    assert remark in "".join(remarks)


def test_of_a_split_that_is_not_there_nothing_is_said():
    source, seen = named_images(np.arange(200) % 2, [f"{i}" for i in range(200)])
    assert split_source(source, seen, validation_fraction=0.15, test_fraction=0.0, seed=0).remarks() == []


def test_another_seed_is_another_assignment(digits):
    first, again, other = (
        split_source(*digits, validation_fraction=0.2, test_fraction=0.0, seed=seed).validation for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 0.3 * len(first)


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
    assert (len(splits.train), len(splits.validation)) == (120, 30)


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


def test_few_examples_are_different_images_where_there_are_some():
    source, seen = named_images([0] * 40 + [1] * 40, [*("copy" for _ in range(30)), *range(50)])
    options = {"validation_fraction": 0.1, "test_fraction": 0.0, "train_examples_per_class": 5}
    for seed in range(5):
        train = split_source(source, seen, seed=seed, **options).train
        assert len(train) == len(set(seen.sha256[train])) == 10


def test_copies_are_said_to_be_the_reason_why_nothing_is_left_to_validate_on():
    with pytest.raises(DataError, match=r"Received none among 6 images, of which 2 differ\. Add"):
        split_named([0] * 3 + [1] * 3, list("aaabbb"))
    source, seen = named_images([0, 1, 1], list("ab?"))
    damaged = dataclasses.replace(seen, decodable=np.array([True, True, False]))
    with pytest.raises(DataError, match=r"Received none among 3 images\. Add"):  # the third is no copy
        split_source(source, damaged, seed=0, validation_fraction=0.2, test_fraction=0.2)


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


def test_a_finished_model_is_measured_on_what_it_has_not_seen_if_there_is_any():
    source = digits_source()
    splits = split_source(source, inspect_source(source), validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert splits.to_measure_on()[0] == "test" and splits.to_measure_on()[1] is splits.test
    untested = dataclasses.replace(splits, test=splits.test[:0])
    assert untested.to_measure_on() == ("validation", splits.validation)
    of_folds = dataclasses.replace(untested, train=splits.validation)
    assert of_folds.to_measure_on()[0] == "training"
