"""Tests of tl_keras.data.groups."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tl_keras.config import TransferConfig, validate
from tl_keras.data.arrays import ArraySource
from tl_keras.data.groups import Groups, deal, groups_by_name, units
from tl_keras.data.inspection import inspect_source
from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.data.splits import split_source
from tl_keras.errors import ConfigError, DataError, TransferError

NAMES = {
    "folder": (["a/p1/x.jpg", "a/p1/y.jpg", "b/p2/z.jpg"], "folder", ["p1", "p1", "p2"]),
    "one patient in two classes": (["a/p1/x.jpg", "b/p1/y.jpg"], "folder", ["p1", "p1"]),
    "whole match": (["a/p1_1.jpg", "b/p1_2.jpg", "b/q2_2.jpg"], "[pq][0-9]", ["p1", "p1", "q2"]),
    "brackets": (["a/p1_1.jpg", "a/p1_2.jpg", "b/q2_2.jpg"], "/(.)([0-9])_", ["p/1", "p/1", "q/2"]),
    "some are alone": (["a/p1_1.jpg", "a/p1_2.jpg", "b/moon.jpg"], "p[0-9]", ["p1", "p1", ""]),
}


@pytest.mark.parametrize(("ids", "group_by", "expected"), NAMES.values(), ids=NAMES)
def test_names_tell_groups(ids, group_by, expected):
    assert groups_by_name("photos", ids, group_by).names.tolist() == expected


def test_an_image_directly_in_its_class_folder_is_alone():
    ids = ["train/a/1.jpg", "train/a/b/2.jpg", "test/b/b/3.jpg", "b/4.jpg", "5.jpg"]
    assert groups_by_name("photos", ids, "folder", ["a", "b"]).names.tolist() == ["", "b", "b", "", ""]
    with pytest.raises(DataError, match="expected groups of images by --group_by=folder"):
        groups_by_name("photos", ["a/1.jpg", "a/2.jpg", "b/3.jpg"], "folder", ["a", "b"])


def test_an_expression_that_finds_nothing_is_refused():
    with pytest.raises(DataError, match=r"the first name is a/1.jpg. Write an expression"):
        groups_by_name("photos", ["a/1.jpg", "a/2.jpg"], "patient")
    config = TransferConfig()
    config.data.group_by, config.data.source = "patient[", "photos"
    with pytest.raises(ConfigError, match="group_by: expected folder or a regular expression"):
        validate(config)


def test_copies_join_groups():
    contents = np.array(["a", "b", "a", "c", "d", "e"])
    groups = np.array(["1", "1", "2", "2", "", ""])
    unit = units(contents, groups)
    assert len(set(unit[:4])) == 1  # a copy is in both groups
    assert len(set(unit)) == 3
    assert len(set(units(contents, None))) == 5


def _spread(split, labels, fractions):
    counts = np.zeros((len(fractions), labels.max() + 1))
    np.add.at(counts, (split, labels), 1)
    return np.abs(counts / counts.sum(axis=0) - np.array(fractions)[:, None]).mean()


@pytest.mark.parametrize(("groups", "images", "classes"), [(40, 400, 5), (12, 300, 3), (200, 1000, 10)])
def test_groups_are_dealt_as_evenly_as_scikit_learn_deals_them(groups, images, classes):
    random = np.random.default_rng(0)
    unit = np.unique(random.integers(0, groups, images), return_inverse=True)[1]
    labels = (unit + (random.random(images) < 0.2)) % classes
    ours = deal(unit, labels, [0.2] * 5, seed=0)
    theirs = np.zeros(images, int)
    for fold, (_, held_out) in enumerate(StratifiedGroupKFold(5).split(labels, labels, unit)):
        theirs[held_out] = fold
    assert _spread(ours, labels, [0.2] * 5) <= _spread(theirs, labels, [0.2] * 5) + 0.002
    assert all(len(set(ours[unit == each])) == 1 for each in range(unit.max() + 1))


@pytest.mark.parametrize(("classes", "of_each"), [(2, 3), (10, 2), (20, 4), (3, 2)])
def test_few_units_of_many_classes_are_in_all_folds(classes, of_each):
    labels = np.arange(classes * of_each) % classes
    dealt = np.bincount(deal(np.arange(len(labels)), labels, [0.2] * 5, seed=0), minlength=5)
    assert np.ptp(dealt) <= 1


def _images(labels, groups, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4), np.uint8)
    return ArraySource(pixels, labels, groups=groups, **options)


def _split(source, seed=0):
    return split_source(source, inspect_source(source), validation_fraction=0.15, test_fraction=0.15, seed=seed)


def test_a_split_keeps_groups_whole_and_its_size():
    random = np.random.default_rng(1)
    groups = random.integers(0, 60, 600)
    source = _images(groups % 3, groups)
    splits = _split(source)
    parts = [set(groups[part]) for part in (splits.train, splits.validation, splits.test)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert [len(part) / 600 for part in (splits.validation, splits.test)] == pytest.approx([0.15, 0.15], abs=0.03)
    assert np.array_equal(_split(source).test, splits.test)
    assert not np.array_equal(_split(source, seed=1).test, splits.test)
    assert "dealt whole" in splits.to_json(source)["rule"]


def test_every_class_is_trained_on_and_measured_where_it_has_the_groups():
    groups = np.repeat(np.arange(9), 10)  # class 2 has one group, class 1 two, class 0 six
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])[groups]
    splits = _split(_images(labels, groups))
    found = [set(labels[part]) for part in (splits.train, splits.validation, splits.test)]
    assert found == [{0, 1, 2}, {0, 1}, {0}] or found == [{0, 1, 2}, {0}, {0, 1}]


def test_what_cannot_be_split_is_refused():
    with pytest.raises(DataError, match=r"Received none among 20 images in 1 group\. Add images of other groups"):
        _split(_images([0, 1] * 10, ["one"] * 20))
    torn = _images([0, 1] * 4, list("aabbccdd"), splits=["train"] * 5 + ["val"] * 3)
    with pytest.raises(DataError, match=r"Received 1 of 4 groups from groups in two splits, such as c"):
        _split(torn)
    kept = _images([0, 1] * 4, list("aabbccdd"), splits=["train"] * 4 + ["val"] * 4)
    assert len(_split(kept).validation) == 4


def test_a_flag_and_a_source_from_python_tell_groups():
    source = _images([0, 1] * 10, None)
    grouped = open_source(source, SourceOptions(group_by="array:1"))
    assert grouped.groups.names.tolist().count("array:1") == 11
    assert source.groups is None  # the user's own stays as it was
    assert len(grouped.groups) == 10
    assert "9 images of no group" in grouped.groups.describe()
    with pytest.raises(TransferError, match="one entry of groups per image"):
        _images([0, 1], ["a"])
    assert Groups.of_column("x", ["1", "2"]) is None


def test_a_group_named_as_programs_write_a_missing_one_is_pointed_out():
    groups = Groups.of_column("the column patient", ["7", "7", "NA", "NA", "NA", ""])
    assert groups.describe().endswith("; one of them is named NA, as programs write a missing group, with 3 images")
