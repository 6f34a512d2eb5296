"""The page of a run in a headless Chromium: desktop, phone and dark."""

import os
import pathlib

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright")

LOOKS = {"desktop": (1280, "light"), "phone": (375, "light"), "dark": (1280, "dark")}


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
