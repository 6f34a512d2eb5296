"""Tests of tl_keras.advice.corrections: the page in a browser, and the table that it saves."""

import csv
import dataclasses
import os
import shlex

import numpy as np
import pytest
from PIL import Image

import tl_keras
from tl_keras.advice.corrections import correctable
from tl_keras.advice.data_page import page
from tl_keras.advice.data_report import DataReport
from tl_keras.advice.leak import Leak
from tl_keras.advice.problems import Problem
from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source


@pytest.fixture
def photos(tmp_path):
    """A folder of 32 images of two classes, one with an awkward name."""
    for number in range(32):
        path = tmp_path / "photos" / ('a, "b"' if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.mark.long
def test_two_images_are_relabelled_and_one_deleted_by_click_and_key_and_the_table_is_trained_on(
    photos, browser, tmp_path, small_teacher
):
    source = open_source(str(photos))
    suspects = tuple((image_id,) for image_id in source.ids[:3])
    problems = (Problem("label", "likely wrong", suspects, ("", "", "")),)
    report = DataReport(source, inspect_source(source), "MobileNetV2", 0.9, "a probe", problems, np.arange(32))
    (tmp_path / "page.html").write_text(page(report))
    opened, said = browser.new_page(), []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto((tmp_path / "page.html").as_uri())
    first, second, third = opened.locator(".correct").all()
    first.locator("select").select_option("dog")
    second.locator("select").select_option("dog")
    second.focus()
    second.press("k")  # changed one's mind
    second.locator("select").select_option("dog")
    third.focus()
    third.press("d")
    assert opened.locator("#status").text_content() == "2 relabelled, 1 deleted"
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "labels.csv")
    assert said == []
    corrected = open_source(f"csv:{tmp_path / 'labels.csv'}")
    counts = np.bincount(corrected.labels).tolist()
    assert dict(zip(corrected.class_names, counts, strict=True)) == {'a, "b"': 13, "dog": 18}
    with (tmp_path / "labels.csv").open() as file:
        assert next(csv.reader(file)) == ["path", "label"]
    config = tl_keras.TransferConfig(export="none")
    config.data.source = f"csv:{tmp_path / 'labels.csv'}"
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs = 1
    assert sum(tl_keras.train_and_evaluate(config, tmp_path / "corrected").images.values()) == 31


def _saved(report, browser, folder, config=None):
    """Returns the path of the table that the page saves as it is, and the command that the page offers."""
    (folder / "page.html").write_text(page(report, config))
    opened = browser.new_page()
    opened.goto((folder / "page.html").as_uri())
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(folder / "labels.csv")
    return folder / "labels.csv", opened.locator("pre.command").text_content()


def test_groups_stay_together_in_the_corrected_table(photos, browser, tmp_path):
    files = sorted(photos.rglob("*.png"))
    rows = [[str(path), path.parent.name, f"patient {number // 4}"] for number, path in enumerate(files)]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "patient"], *rows])
    config = tl_keras.TransferConfig(task="ordinal")
    config.data.class_order = "dog,a b"
    source = open_source(f"csv:{tmp_path / 'table.csv'}")
    report = DataReport(source, inspect_source(source), "MobileNetV2", 0.9, "a probe", (), np.arange(32))
    table, command = _saved(report, browser, tmp_path, config)
    assert open_source(f"csv:{table}").groups.names.tolist() == [group for _, _, group in rows]
    assert shlex.split(command)[4:7] == [
        "--task=ordinal",
        "--columns=label=label",
        f"--class_order={config.data.class_order}",
    ]


@pytest.mark.parametrize("declared", ["", "train"])
def test_groups_that_were_found_stay_together_unless_splits_are_declared(photos, browser, tmp_path, declared):
    source = open_source(str(photos))
    source.declared_splits = np.full(32, declared)
    names = np.array([f"group{number // 4}" for number in range(32)])
    leak = Leak("names", "", names, 8, (0.9, 0.8, 1.0), (0.5, 0.4, 0.6), "accuracy", False, True)
    report = DataReport(source, inspect_source(source), "MobileNetV2", 0.9, "a probe", (), np.arange(32))
    table, _ = _saved(dataclasses.replace(report, leak=leak), browser, tmp_path)
    groups = open_source(f"csv:{table}").groups
    assert groups is None if declared else groups.names.tolist() == names.tolist()


def test_an_image_whose_name_is_not_utf_8_has_its_name_in_the_corrected_table(photos, browser, tmp_path):
    (photos / "dog" / "0.png").rename(photos / "dog" / "caf\udce9 \N{DOG FACE}.png")
    source = open_source(str(photos))
    problems = (Problem("label", "likely wrong", (("dog/caf\udce9 \N{DOG FACE}.png",),), ("",)),)
    report = DataReport(source, inspect_source(source), "MobileNetV2", 0.9, "a probe", problems, np.arange(32))
    table, _ = _saved(report, browser, tmp_path)
    assert "dog/<wbr>caf\\udce9 \N{DOG FACE}.png<br>" in (tmp_path / "page.html").read_text()
    assert os.fsencode("dog/caf\udce9 \N{DOG FACE}.png,dog\n") in table.read_bytes()
    read = open_source(f"csv:{table}")
    assert {read.path(index) for index in range(32)} == {str(path) for path in photos.rglob("*.png")}


def test_what_is_in_memory_cannot_be_corrected_in_a_table():
    assert correctable(ArraySource(np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1])) is None
