"""The server's page in a headless Chromium: a person chooses or drops a photo and sees labels and scores."""

import base64

import pytest

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
pytest.importorskip("playwright.sync_api", reason="pip install playwright")
from tl_keras.serving.server import Limits, make_app


@pytest.fixture(scope="module")
def address(run, served):
    """The address of a server in this process."""
    with served(make_app(run.path / "saved_model", name="digits", limits=Limits())) as address:
        yield address


def test_a_chosen_photo_is_answered_and_nothing_comes_from_elsewhere(run, predicted, address, browser):
    page, requests = browser.new_page(), []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    file = run.path / "images" / "0.png"
    page.set_input_files("#file", file)
    page.wait_for_selector("#answer tbody tr")
    expected = predicted[0]
    assert page.locator("tbody th").all_text_contents() == [best["label"] for best in expected["top_k"]]
    assert page.locator("#status").text_content() == f"{expected['label']}, {100 * expected['score']:.1f} %"
    assert all(url.startswith((address, "blob:", "data:")) for url in requests)


def test_a_dropped_photo_is_answered(run, predicted, address, browser):
    page, file = browser.new_page(), run.path / "images" / "0.png"
    page.goto(address)
    encoded = base64.b64encode(file.read_bytes()).decode()
    dropped = page.evaluate_handle(
        """encoded => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(atob(encoded), c => c.charCodeAt(0))], "0.png"));
          return transfer;
        }""",
        encoded,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.wait_for_selector("#answer tbody tr")
    expected = predicted[0]
    assert page.locator("#status").text_content() == f"{expected['label']}, {100 * expected['score']:.1f} %"


def test_what_is_no_image_is_said(address, browser, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    page = browser.new_page()
    page.goto(address)
    page.set_input_files("#file", tmp_path / "a.png")
    # Not `wait_for_function`: the page's policy forbids the evaluation that it begins with where it has to wait.
    page.wait_for_selector("#note:not(:empty)")
    assert "another kind of file" in page.locator("#note").inner_text()
    assert not page.locator("#photo").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_colour_scheme_and_labels_its_controls(address, browser, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    background = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    assert background == "light dark"
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")
    assert page.get_by_label("Drop a photo here, or choose one").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
