"""The page of a run in a headless Chromium: desktop, phone and dark."""

import os
import pathlib

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.label_sections import labels_facts
from tl_keras.reporting.page import jpeg_uri, render
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.multi_label import MultiLabel

pytest.importorskip("playwright.sync_api", reason="pip install playwright")

LOOKS = {"desktop": (1280, "light"), "phone": (375, "light"), "dark": (1280, "dark")}


# Everything that is wider than its own box, or sticks out of the page, but for tables in a region that scrolls.
CUT = """() => [...document.querySelectorAll("main *:not(svg *)")].filter((each) => !each.closest(".wide")
  && (each.scrollWidth > each.clientWidth + 1 && each.clientWidth || each.getBoundingClientRect().right > innerWidth))
  .map((each) => each.outerHTML.slice(0, 80))"""

# The lines of the text of each element that a selector finds, as they are drawn.
LINES = """(selector) => [...document.querySelectorAll(selector)].map((each) => {
  const lines = new Map(), nodes = document.createTreeWalker(each, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (nodes.nextNode()) for (let at = 0; at < nodes.currentNode.data.length; at++) {
    range.setStart(nodes.currentNode, at);
    range.setEnd(nodes.currentNode, at + 1);
    const top = Math.round(range.getBoundingClientRect().top);
    lines.set(top, (lines.get(top) ?? "") + range.toString());
  }
  return [...lines.values()].map((line) => line.trim()).filter(Boolean);
})"""


@pytest.mark.parametrize("look", ["desktop", "phone"])
def test_nothing_is_cut_commands_included(compared, browser, look):
    page = browser.new_page(viewport={"width": LOOKS[look][0], "height": 800})
    page.goto((compared[0] / "long" / "seed_0" / "report.html").as_uri())
    assert page.locator(".summary code").count() > 0
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_loaded_nothing_complains_and_it_fits(in_memory, browser, look, tmp_path):
    width, scheme = LOOKS[look]
    page, said, asked = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (in_memory[0] / "report.html").as_uri()
    page.goto(address)
    screenshots = pathlib.Path(os.environ.get("TL_KERAS_SCREENSHOTS") or tmp_path)
    page.screenshot(path=screenshots / f"{look}.png", full_page=True)
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {address}
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")


def test_a_click_on_a_cell_of_the_confusion_matrix_shows_its_images(compared, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((compared[0] / "long" / "seed_0" / "report.html").as_uri())
    cell = page.locator(".matrix td a").first
    wrong = int(cell.text_content())
    cell.click()
    opened = page.locator(".cell:target")
    assert 1 <= opened.locator("img").count() <= wrong and opened.locator("img").first.is_visible()


@pytest.fixture(scope="module")
def labels_page(tmp_path_factory):
    """The part of a page on labels with long names, within what all pages share."""
    labels = np.random.default_rng(0).integers(0, 2, (40, 7))
    source = ArraySource(np.zeros((40, 8, 8, 3), np.uint8), np.arange(40) % 2)
    source.class_names, source.labels = tuple(f"label {name}" for name in "abcdefg"), labels
    task = MultiLabel(count=7, temperatures=(1.0,) * 7, thresholds=(0.5,) * 7)
    logits = np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32)
    facts = labels_facts(None, ReportedPredictions(source, "test", np.arange(40), labels, logits, 1.0, task))
    base, section = render("base.html"), render("sections/labels.html", facts=facts)
    path = tmp_path_factory.mktemp("labels") / "page.html"
    path.write_text(base.replace("</main>", f"{section}</main>"))
    return path


@pytest.mark.parametrize("width", [1024, 1200, 1920])
def test_the_table_of_labels_fits_beside_nothing(labels_page, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(labels_page.as_uri())
    assert page.evaluate(
        "[...document.querySelectorAll('.wide')].map((each) => each.scrollWidth - each.clientWidth)"
    ) == [0]


def test_a_caption_is_no_wider_than_what_shows_its_table(labels_page, browser):
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.goto(labels_page.as_uri())
    assert page.evaluate("document.querySelector('.wide').scrollWidth > document.querySelector('.wide').clientWidth")
    assert page.evaluate("document.querySelector('caption').offsetWidth <= document.querySelector('.wide').clientWidth")
    page.set_viewport_size({"width": 1200, "height": 800})
    page.evaluate("document.querySelector('.wide').style.width = '300px'")  # as in a column
    assert page.evaluate("document.querySelector('caption').offsetWidth <= 300")


def test_captions_break_between_words_and_between_the_parts_of_a_path(browser):
    picture = jpeg_uri(np.full((60, 84, 3), 90, np.uint8), 84)
    case = {
        "ids": ["test/sunflower/63.jpg"],
        "remark": "",
        "pictures": [picture],
        "texts": [],
        "alike": [{"id": name, "label": name, "picture": picture} for name in ("dandelion", "Gänseblümchen weiß")],
    }
    section = {"kind": "label", "meaning": "look", "count": 1, "cases": [case]}
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.set_content(render("data.html", name="photos", facts=[], classes=[], sections=[section], table=None))
    # As narrow as beside the confusion matrix of a run's report.
    page.evaluate("document.querySelector('.cases').parentElement.classList.add('cell')")
    assert page.evaluate(LINES, ".alike > span") == [["dandelion"], ["Gänseblümchen", "weiß"]]
    assert page.evaluate(LINES, ".cases figcaption") == [["test/sunflower/", "63.jpg"]]
    assert page.evaluate(CUT) == []
