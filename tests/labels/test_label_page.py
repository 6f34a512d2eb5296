"""Tests of tl_keras.labels.label_page: the page in a browser, and a run on the table that it saves."""

import copy
import csv

import numpy as np
import pytest

import tl_keras as tl
from tl_keras.data.groups import Groups
from tl_keras.data.sources import open_source
from tl_keras.data.unlabelled import without_labels
from tl_keras.errors import DataError
from tl_keras.labels.label_page import page
from tl_keras.labels.next_labels import plan_labels


@pytest.fixture(scope="module")
def plan(labelling):
    return plan_labels(labelling.config, workdir=labelling.run, count=12)


@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_is_loaded_and_it_fits(plan, browser, width, tmp_path):
    (tmp_path / "page.html").write_text(page(plan))
    opened, said, asked = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark"), [], []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((tmp_path / "page.html").as_uri())
    assert said == [] and {url for url in asked if not url.startswith("data:")} == {(tmp_path / "page.html").as_uri()}
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.long
def test_ten_images_are_labelled_by_keys_and_a_run_is_trained_on_the_table(plan, labelling, browser, tmp_path):
    (tmp_path / "page.html").write_text(page(plan, classes=("red", 'pale, "pink"')))
    opened, said = browser.new_page(), []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto((tmp_path / "page.html").as_uri())
    assert opened.locator("#keys").text_content() == '1 blue, 2 green, 3 red, 4 pale, "pink", '
    keys, truth = {"blue": "1", "green": "2", "red": "3"}, {}
    for row in plan.chosen[:10].tolist():  # the first is in focus, and each key goes on to the next
        name = plan.id_of(row).rpartition("/")[2].split("_")[0].replace("again.png", "blue")
        truth[plan.id_of(row).rpartition("/")[2]] = name
        opened.keyboard.press(keys[name])
    opened.keyboard.press("Enter")  # takes the guess
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("u")  # takes it back
    opened.keyboard.press("s")
    opened.locator(".ask select").nth(11).select_option('pale, "pink"')
    opened.locator(".ask select").nth(11).select_option("")
    opened.fill("#add input", "grey")
    opened.click("#add button")
    assert "5 grey" in opened.locator("#keys").text_content()
    assert opened.locator("#status").text_content() == "10 of 12 labelled"
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "labels.csv")
    assert said == []
    with (tmp_path / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 46 and {row["path"].rpartition("/")[2]: row["label"] for row in rows[36:]} == truth
    config = copy.deepcopy(labelling.config)
    config.data.source, config.training.epochs = f"csv:{tmp_path / 'labels.csv'}", 1
    assert sum(tl.train_and_evaluate(config, tmp_path / "next").images.values()) == 46


def test_the_table_keeps_the_groups_of_the_run_and_is_read_as_its_images_were(plan, browser, tmp_path):
    grouped = copy.deepcopy(plan)
    source = grouped.gathered.labelled.source
    source.groups = Groups("the column house", np.array([f"house {number // 4}" for number in range(len(source))]))
    grouped.gathered.run.task = "single_label"
    (tmp_path / "page.html").write_text(page(grouped))
    opened = browser.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    assert "--task=single_label --columns=label=label" in opened.locator("pre.command").text_content()
    opened.keyboard.press("1")
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "labels.csv")
    assert open_source(f"csv:{tmp_path / 'labels.csv'}").groups.names.tolist() == [*source.groups.names.tolist(), ""]


def test_images_that_no_table_can_name_are_refused(plan):
    arrays = tl.ArraySource(np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1])
    other = copy.deepcopy(plan)
    object.__setattr__(other.gathered.unlabelled, "source", without_labels(open_source(arrays)))
    with pytest.raises(DataError, match="files of their own"):
        page(other)
