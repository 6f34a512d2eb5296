"""Tests of tl_keras.advice.leak: groups that nobody has declared are found where they make an accuracy too high, and only there."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tl_keras.advice.leak import find_leak, with_groups, write_groups
from tl_keras.data.arrays import ArraySource
from tl_keras.data.base import FileSource
from tl_keras.data.labelling import UNKNOWN
from tl_keras.probes.transferability import linear_probe

OBJECTS, COPIES, CLASSES = 45, 6, 3


def _planted():
    """Returns features of several photos of each object, and the object and class of each."""
    random, objects = np.random.default_rng(0), np.repeat(np.arange(OBJECTS), COPIES)
    classes = objects % CLASSES
    own, centres = random.normal(size=(OBJECTS, 64)), 0.35 * random.normal(size=(CLASSES, 64))
    features = own[objects] + centres[classes] + 0.2 * random.normal(size=(len(objects), 64))
    return features.astype(np.float32), objects, classes


def _files(names, labels, classes=3):
    return FileSource(
        paths=[f"/photos/{name}".encode() for name in names],
        ids=names,
        name="photos",
        class_names=tuple("abcdefghij"[:classes]),
        labels=labels,
        declared_splits=np.full(len(names), ""),
    )


def _find(source, features):
    rows = np.arange(len(source))
    return find_leak(source, rows, features, np.array([f"{row:05}" for row in rows]), near=rows, seed=0)


@pytest.mark.parametrize("named", [True, False])
def test_planted_groups_are_found_and_the_accuracy_without_them_is_too_high(named, tmp_path):
    features, objects, classes = _planted()
    random = np.random.default_rng(1)
    names = [f"{c}/object{o}_{n % COPIES}.jpg" for n, (o, c) in enumerate(zip(objects, classes, strict=True))]
    source = _files(names if named else [f"{c}/{random.integers(2**40):x}.jpg" for c in classes], classes)
    leak = _find(source, features)
    assert leak.flag == ("--group_by='object[0-9]+'" if named else "") and leak.number == OBJECTS
    assert leak.ungrouped[0] - leak.grouped[0] > 0.1
    _, low, high = leak.grouped
    assert low < _accuracy_on_others(features, classes) < high
    assert (leak.flag or "groups.csv") in leak.says and json.loads(json.dumps(leak.to_json()))["says"] == leak.says
    write_groups(source, leak, tmp_path / "groups.csv")
    with (tmp_path / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    of_object = {
        o: {row["group"] for row, each in zip(rows, objects, strict=True) if each == o} for o in range(OBJECTS)
    }
    assert all(len(groups) == 1 for groups in of_object.values()) and len(set.union(*of_object.values())) == OBJECTS
    assert len(with_groups(source, leak).groups) == OBJECTS


def _accuracy_on_others(features, classes):
    """Returns the accuracy on new objects of the same classes of a classifier of all images."""
    random = np.random.default_rng(0)
    random.normal(size=(OBJECTS, 64))
    centres = 0.35 * random.normal(size=(CLASSES, 64))
    new = np.random.default_rng(9).integers(0, CLASSES, 2000)
    photos = centres[new] + np.random.default_rng(2).normal(size=(2000, 64)) * (1 + 0.2**2) ** 0.5
    return LogisticRegression(C=0.1, max_iter=300).fit(features, classes).score(photos, new)


def test_names_and_neighbours_that_mean_nothing_raise_no_alarm():
    random, labels = np.random.default_rng(0), np.arange(300) % CLASSES
    features = (random.normal(size=(CLASSES, 64))[labels] + 2 * random.normal(size=(300, 64))).astype(np.float32)
    series = [f"{c}/roll{n // 10}_{n % 10}.jpg" for n, c in enumerate(labels)]
    assert _find(_files(series, labels), features) is None


def test_what_most_names_begin_with_and_a_few_large_groups_raise_no_alarm():
    random, classes, labels = np.random.default_rng(2), 10, np.arange(200) % 10
    centres = random.normal(size=(classes, 64))
    features = (centres[labels] + 2.5 * random.normal(size=(200, 64))).astype(np.float32)
    numbers = random.permutation(200).tolist()
    phone = [
        f"{c}/{'IMG' if number > 50 else f'foto{number}'}-WA{number:04}.jpg"
        for number, c in zip(numbers, labels, strict=True)
    ]
    rolls = [f"{c}/{'abcd'[n // 61]}{n // 4 if n >= 183 else ''}_{n}.jpg" for n, c in zip(numbers, labels, strict=True)]
    assert _find(_files(phone, labels, classes), features) is None
    assert _find(_files(rolls, labels, classes), features) is None


def test_of_intervals_that_overlap_widely_none_is_said_to_be_too_high():
    features, _, classes = _planted()
    leak = _find(ArraySource(np.zeros((len(classes), 4, 4), np.uint8), classes), features)
    assert "without them is too high: " in leak.says
    unsure = dataclasses.replace(leak, ungrouped=(0.863, 0.770, 0.930), grouped=(0.806, 0.562, 0.999))
    assert "without them may be too high, and these are too few to tell by how much: " in unsure.says


def test_a_partition_is_measured_once(monkeypatch):
    features, objects, classes = _planted()
    asked = []

    def noted(features, labels, *, groups, **options):
        asked.append((len(labels), groups.tobytes()))
        return linear_probe(features, labels, groups=groups, **options)

    monkeypatch.setattr("tl_keras.advice.leak.linear_probe", noted)
    names = [f"{c}/object{o}_{n % COPIES}.jpg" for n, (o, c) in enumerate(zip(objects, classes, strict=True))]
    assert _find(_files(names, classes), features).number == OBJECTS
    assert len(asked) == len(set(asked)) > 1


def test_declared_groups_are_measured_and_others_than_files_get_the_groups_of_each_image():
    features, objects, classes = _planted()
    pixels = np.zeros((len(classes), 4, 4), np.uint8)
    known = _find(ArraySource(pixels, classes, groups=objects), features)
    assert known.declared and "with groups kept whole" in known.says
    unknown = _find(ArraySource(pixels, classes), features)
    assert unknown.number == OBJECTS and "ArraySource(groups=...)" in unknown.says
    assert len(set(unknown.to_json()["of_each_image"])) == OBJECTS


def test_images_of_which_no_label_is_known_are_not_measured():
    features, objects, _ = _planted()
    labels = np.stack([objects % 2, objects // 2 % 2], axis=1)
    labels[:3], labels[3, 0] = UNKNOWN, UNKNOWN
    source = ArraySource(np.zeros((len(objects), 4, 4), np.uint8), labels, groups=objects, class_names=("cat", "dog"))
    leak = _find(source, features)
    assert json.dumps(leak.to_json(), allow_nan=False) and 0.4 < leak.grouped[0] < leak.ungrouped[0] <= 1


def test_labels_that_are_mostly_unknown_are_learnt_from_the_images_of_which_they_are_known():
    features, objects, _ = _planted()
    labels = np.stack([objects % 2, objects // 2 % 2], axis=1)
    labels[np.random.default_rng(0).random(labels.shape) < 0.7] = UNKNOWN
    source = ArraySource(np.zeros((len(objects), 4, 4), np.uint8), labels, groups=objects, class_names=("cat", "dog"))
    assert _find(source, features).ungrouped[0] > 0.9
