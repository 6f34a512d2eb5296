"""Tests of tl_keras.advice.correction_server: a browser corrects, and the file is there."""

import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.correction_server import CorrectionServer
from tl_keras.advice.data_page import page
from tl_keras.advice.data_report import DataReport, Problem
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source
from tl_keras.errors import ConfigError


@pytest.fixture
def served(tmp_path):
    """A server of the page of six images, one of them suspect, which writes labels.csv."""
    for number in range(6):
        path = tmp_path / "photos" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    source = open_source(str(tmp_path / "photos"))
    problems = (Problem("label", "likely wrong", ((source.ids[0],),), ("",)),)
    report = DataReport(source, inspect_source(source), "MobileNetV2", 0.9, "a probe", problems, np.arange(6))
    with CorrectionServer(page(report), tmp_path / "labels.csv") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_corrected_table_is_written_where_the_server_says(served, browser):
    opened = browser.new_page()
    opened.goto(served.address)
    opened.locator(".correct select").first.select_option("dog")
    opened.click("#save")
    opened.wait_for_function("document.getElementById('status').textContent.startsWith('saved: ')")
    assert str(served.table) in opened.text_content("#status")
    assert np.bincount(open_source(f"csv:{served.table}").labels).tolist() == [2, 4]


def status_of(asked) -> int:
    """Returns the status with which a request is refused."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked)
    refused.value.close()
    return refused.value.code


def test_who_does_not_know_the_address_reads_and_writes_nothing(served):
    root = served.address.replace(served.secret + "/", "")
    for asked in (root, f"{root}labels.csv", f"{root}guess/labels.csv"):
        for body in (None, b"path,label\n"):
            assert status_of(urllib.request.Request(asked, data=body)) == 404
    request = urllib.request.Request(f"{served.address}labels.csv", data=b"", headers={"Content-Length": str(2**30)})
    assert status_of(request) == 413
    assert not served.table.exists()


def test_a_port_that_is_taken_is_one_line(served, tmp_path):
    with pytest.raises(ConfigError, match="which is taken"):
        CorrectionServer("", tmp_path / "labels.csv", port=served.server_port)
