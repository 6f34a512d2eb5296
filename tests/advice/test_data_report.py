"""Tests of tl_keras.advice.data_report: faults planted in real photos are found."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.data_page import page
from tl_keras.advice.data_report import clean_splits, describe, inspect_closely, suspect_labels, write_splits
from tl_keras.advice.label_checks import LabelCheck
from tl_keras.advice.suspects import label_suspects
from tl_keras.advice.teacher_scores import pooled_features
from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError
from tl_keras.probes.transferability import linear_probe


def cases(report, kind):
    return next((problem.rows for problem in report.problems if problem.kind == kind), ())


@pytest.mark.slow
def test_every_copy_across_splits_is_named(report, faults):
    found = [set(ids) for ids in cases(report, "copies across splits")]
    assert sorted(map(sorted, found)) == sorted(map(sorted, faults.copies))


def test_truncated_files_and_wrong_extensions_are_named_and_no_others(report, faults):
    assert {image_id for (image_id,) in cases(report, "undecodable")} == faults.truncated
    assert {image_id for (image_id,) in cases(report, "extension")} == faults.renamed


def test_most_swapped_labels_are_among_the_first_suspects(report, faults):
    first = {image_id for (image_id,) in cases(report, "label")[:30]}
    assert len(first & faults.swapped) >= 8  # 9 here, 12 on average over draws: the last of them are close calls


@pytest.mark.slow
def test_of_15_swapped_labels_about_12_are_among_the_first_30_on_average(shared_data):
    source = open_source(str(shared_data / "flowers5"))
    indices = np.arange(len(source))
    features = pooled_features(Candidate("MobileNetV2"), TransferConfig(), source, inspect_source(source), indices)
    found = []
    for draw in range(12):
        random, labels = np.random.default_rng(draw), source.labels.copy()
        swapped = random.permutation(len(labels))[:15]
        labels[swapped] = (labels[swapped] + random.integers(1, 5, 15)) % 5
        suspects = label_suspects(linear_probe(features, labels, classes=5, groups=indices, seed=draw))
        found.append(len(np.intersect1d(suspects[:30], swapped)))
    assert np.mean(found) >= 11.5, found


def test_photos_of_different_flowers_are_no_groups(report):
    assert report.leak is None and report.to_json()["groups"] is None


def test_the_images_of_a_class_too_small_are_named(report, faults):
    assert [set(ids) for ids in cases(report, "small class")] == [faults.small_class]


def test_clean_splits_have_no_copy_no_damaged_file_and_every_class(report, faults, tmp_path):
    splits = clean_splits(report, TransferConfig())
    write_splits(report, splits, tmp_path / "clean.csv")
    with (tmp_path / "clean.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = {str((tmp_path / row["path"]).resolve().relative_to(faults.folder.resolve())) for row in rows}
    assert not kept & faults.truncated
    assert all(len(copies & kept) == 1 for copies in faults.copies)
    assert {row["label"] for row in rows if row["split"] == "validation"} == set(report.source.class_names)
    again = open_source(f"csv:{tmp_path / 'clean.csv'}")
    assert len(again) == len(rows) == len(report.source) - 20 - 5


def test_the_page_shows_every_problem_and_loads_nothing(report):
    text = page(report)
    assert all(f">{problem.kind}: {len(problem.rows)}</h2>" in text for problem in report.problems)
    assert "data:image/jpeg;base64," in text
    assert (
        "Sizes, width by height: from " in text and "Typical: nearest to the mean" in text and "most like it:" in text
    )
    assert not re.search('https?:|(src|href)="(?!data:|#)|@import', text)


def test_the_report_in_words_and_in_json_names_the_same(report, faults):
    text, values = describe(report, shown=1000), json.dumps(report.to_json())
    assert all(image_id in text and image_id in values for image_id in faults.truncated | faults.renamed)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (0, "worth a look, though probably none is mislabelled"),
        (2, "about 2 of them at most are errors"),
        (48, "each may be an error"),
        (None, "many are hard images with a right one: look"),
    ],
)
def test_no_more_labels_are_said_to_be_wrong_than_are_doubted(wrong, says):
    source = ArraySource(np.zeros((9, 4, 4), np.uint8), np.arange(9) % 3)
    check = LabelCheck(0.5, "", tuple((row, "looks like 1") for row in range(3)), wrong)
    assert says in suspect_labels(source, np.arange(9), check).meaning


@pytest.fixture
def small_report(tmp_path, small_teacher):
    def report(sizes_by_class, name="{i}.png"):
        random = np.random.default_rng(0)
        for label, size in sizes_by_class.items():
            for i in range(12):
                path = tmp_path / "photos" / ("test" if i < 4 else "train") / label / name.format(i=i)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)
        source = open_source(str(tmp_path / "photos"))
        return inspect_closely(source, Candidate(str(small_teacher)), TransferConfig())

    return report


def test_sizes_that_tell_the_classes_apart_are_a_leak(small_report):
    report = small_report({"cat": (40, 40), "dog": (48, 40)})
    assert len(cases(report, "leak by size")) == 1


def test_a_series_torn_apart_is_a_leak(small_report):
    report = small_report({"cat": (40, 40), "dog": (40, 40)}, name="film7_{i}.png")
    (series,) = cases(report, "leak by name")
    assert len(series) == 24
    assert not cases(report, "leak by size")


def test_splits_of_arrays_cannot_be_written(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    report = inspect_closely(
        ArraySource(images, np.arange(40) % 2), Candidate("MobileNetV2", "embedded"), TransferConfig()
    )
    with pytest.raises(DataError, match="texts or image files"):
        write_splits(report, clean_splits(report, TransferConfig()), tmp_path / "clean.csv")
