"""The server's page in a headless Chromium: a person chooses or drops a photo and sees labels and scores."""

import base64

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
pytest.importorskip("playwright.sync_api", reason="pip install playwright")
from tl_keras.config import DecisionConfig
from tl_keras.serving.page import page_of
from tl_keras.serving.served_model import _json_values
from tl_keras.serving.server import Limits, make_app
from tl_keras.tasks.multi_label import MultiLabel
from tl_keras.tasks.ordinal import Ordinal
from tl_keras.tasks.regression import Regression
from tl_keras.tasks.single_label import SINGLE_LABEL

NAMES = ("a", "<b>", "c")


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


SEVERAL = MultiLabel().with_facts({"count": 3, "temperatures": [1.0] * 3, "thresholds": [0.5, 0.5, 0.5]})
NUMBERS = Regression().with_facts(
    {"means": [0.0] * 3, "deviations": [1.0] * 3, "medians": [0.0] * 3, "half_widths": [0.5] * 3, "edges": [0.5]}
)
REFUSING = SINGLE_LABEL.with_decision(DecisionConfig(refuse_below=0.9), NAMES)


def opened(browser, **facts):
    """The page of a model, at an address without a server."""
    page, html = browser.new_page(), page_of("m", look_alikes=False, **facts)
    page.route("http://page/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto("http://page/")
    return page


@pytest.mark.parametrize(
    ("task", "output", "status", "rows"),
    [
        (SINGLE_LABEL, (0.1, 0.7, 0.2), "<b>, 70.0 %", ["<b>70.0 %", "c20.0 %", "a10.0 %"]),
        (
            REFUSING,
            (0.1, 0.7, 0.2),
            "no answer: the best score, 70.0 %, is too low",
            ["<b>70.0 %", "c20.0 %", "a10.0 %"],
        ),
        (Ordinal(), (0.1, 0.7, 0.2), "<b>, 70.0 %", ["a10.0 %", "<b>70.0 %", "c20.0 %"]),
        (SEVERAL, (0.1, 0.7, 0.8), "c, <b>", ["c80.0 %", "<b>70.0 %"]),
        (SEVERAL, (0.1, 0.2, 0.3), "none of the labels", []),
        (
            NUMBERS,
            (1, 2, 30),
            "a 1 (0.5 to 1.5), <b> 2 (1.5 to 2.5), c 30 (29.5 to 30.5)",
            ["a1 (0.5 to 1.5)", "<b>2 (1.5 to 2.5)", "c30 (29.5 to 30.5)"],
        ),
    ],
)
def test_the_answer_of_each_task_is_shown(browser, task, output, status, rows):
    answered = task.answers(tf.constant([output], tf.float32), NAMES)
    answer = {name: _json_values(np.asarray(value))[0] for name, value in answered.items()}
    page = opened(browser, takes="image_bytes", class_names=NAMES)
    page.evaluate("answer => show(answer)", answer)
    assert page.locator("#status").inner_text() == status
    assert page.locator("tbody tr").all_text_contents() == rows


def test_the_page_of_a_model_of_texts_asks_for_a_text(browser):
    page = opened(browser, takes="text", class_names=["</script>"])
    assert page.get_by_label("Text").is_visible() and not page.locator("#drop").is_visible()
    assert page.evaluate("names") == ["</script>"]
