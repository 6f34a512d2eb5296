"""Tests of tl_keras.advice.data_page, on a report whose problems are given."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.data_page import page
from tl_keras.advice.data_report import DataReport, describe
from tl_keras.advice.problems import Problem
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source

AWKWARD = "<b>cat"


@pytest.fixture
def report(tmp_path):
    """Six images of two classes, one of them damaged, and two problems."""
    for number in range(6):
        path = tmp_path / "photos" / (AWKWARD if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    (tmp_path / "photos" / "dog" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    source = open_source(str(tmp_path / "photos"))
    problems = (
        Problem("damaged", "files that cannot be decoded", (("dog/0.png",),), ("",)),
        Problem("copies", "the same twice", ((f"{AWKWARD}/1.png", "dog/2.png"),), ("looks like <script>",)),
    )
    says = "a linear probe gets 0.875 of the labels right"
    return DataReport(source, inspect_source(source), "MobileNetV2", 0.875, says, problems, np.arange(6))


def test_every_problem_has_its_cases_and_what_can_be_decoded_a_picture(report):
    text = page(report)
    assert ">damaged: 1</h2>" in text and ">copies: 1</h2>" in text
    assert text.count("data:image/jpeg;base64,") == 2
    assert "gets 0.875 of the labels right" in text


def test_names_and_remarks_are_escaped_and_nothing_is_loaded(report):
    text = page(report)
    assert "&lt;b&gt;cat/1.png" in text and "looks like &lt;script&gt;" in text
    assert "looks like <script" not in text and "<b>cat" not in text and "http" not in text
    assert text.count("<script") == 3  # the table, what changes it and what saves it


def test_lists_end_and_say_how_many_there_are(report):
    many = Problem("label", "likely wrong", tuple((f"dog/{number}.png",) for number in range(1500)), ("",) * 1500)
    report = dataclasses.replace(report, problems=(many,))
    (listed,) = report.to_json()["problems"]
    assert (listed["count"], len(listed["cases"])) == (1500, 1000)
    assert describe(report).endswith("and 1470 more")
    assert report.to_json()["undecodable_count"] == 1
