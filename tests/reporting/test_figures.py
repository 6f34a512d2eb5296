"""Tests of tl_keras.reporting.figures: every drawing is well-formed SVG that stands alone."""

import dataclasses
import xml.etree.ElementTree

import numpy as np
import pytest
from golden_results import golden_epochs

from tl_keras.console import in_words
from tl_keras.evaluation.calibration import reliability
from tl_keras.reporting import figures

EPOCHS = golden_epochs("fine_tune")
ROWS = [
    {"name": "stem", "parameters": 0, "rate": 0.0},
    {"name": "block 1", "parameters": 1000, "rate": 0.005},
    {"name": "head", "parameters": 10, "rate": 0.01},
]
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(3), 50)
BINS = reliability(PROBABILITIES, np.zeros(50, np.int64))
DRAWN = {
    "one epoch": lambda: figures.curves(EPOCHS[:1], kept_epoch=1),
    "two phases": lambda: figures.curves(EPOCHS, kept_epoch=4),
    "network": lambda: figures.network(ROWS),
    "long names": lambda: figures.network([{**row, "name": 60 * "w"} for row in ROWS]),
    "few classes": lambda: figures.confusion(np.eye(3, dtype=np.int64), ["$5 & $6", "<b>", "七"]),
    "many classes": lambda: figures.confusion(np.eye(200, dtype=np.int64), [str(i) for i in range(200)]),
    "a class without images": lambda: figures.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"]),
    "calibration": lambda: figures.calibration(BINS, BINS),
    "time": lambda: figures.time_spent({"preparing": 1.0, "head": 2.0}),
    "reached": lambda: figures.score_by_time([(1.0, 0.5)], name="accuracy", seconds=3.0),
    "validation curves": lambda: figures.validation_curves(
        ["a", "b", "c"], [EPOCHS, EPOCHS[:1], EPOCHS], name="accuracy"
    ),
    "scores": lambda: figures.scores(["a", "b"], [0.5, 1.0], [(0.4, 0.6), (0.9, 1.0)], name="accuracy"),
}


@pytest.fixture(params=DRAWN)
def picture(request):
    return DRAWN[request.param]()


def test_a_drawing_is_well_formed_and_takes_the_colour_of_the_page(picture):
    root = xml.etree.ElementTree.fromstring(picture.svg)
    assert root.tag.endswith("svg")
    assert "currentColor" in picture.svg
    assert "#010203" not in picture.svg
    assert picture.description.endswith(".")


@pytest.mark.parametrize("name", ["mean_average_precision", "quadratic_weighted_kappa"])
def test_the_title_of_an_axis_is_no_longer_than_the_axis(name):
    epochs, words = [dataclasses.replace(epoch, score_name=name) for epoch in EPOCHS], in_words(name)
    for picture in (
        figures.score_by_time([(1.0, 0.5)], name=words, seconds=3.0),
        figures.validation_curves(["a", "b"], [epochs, epochs], name=words),
        figures.curves(epochs, kept_epoch=1),
    ):
        root = xml.etree.ElementTree.fromstring(picture.svg)
        turned = [each for each in root.iter("{http://www.w3.org/2000/svg}text") if "rotate(-90" in str(each.attrib)]
        inches = (
            float(root.get("height").removesuffix("pt")) / 72 / (2 if "loss" in {each.text for each in turned} else 1)
        )
        lines = [each.text for each in turned]
        assert words.split()[-1] in lines[-1]
        assert max(map(len, lines)) <= 11 * (
            inches - 0.3
        )  # a letter takes about a twelfth of an inch, below is the axis of x


def texts_of(picture):
    """Returns the texts of a drawing as (words, place from the left, place from the top) in points."""
    root = xml.etree.ElementTree.fromstring(picture.svg)
    found = []
    for each in root.iter("{http://www.w3.org/2000/svg}text"):
        if "rotate(-90" not in str(each.attrib):
            found.append((each.text, float(each.get("x", 0)), float(each.get("y", 0))))
    return found


def test_a_title_below_a_short_axis_is_broken_into_lines():
    names = [f"experiments_on_flowers_{number}" for number in (1, 2)]  # which leave little of the width to the axis
    picture = figures.scores(names, [0.3, 0.5], [(0.2, 0.9)] * 2, name="quadratic weighted kappa")
    texts = [text for text, _, _ in texts_of(picture)]
    assert "quadratic weighted kappa, with its 95% interval" not in texts
    assert "quadratic weighted kappa, with its" in texts and "95% interval" in texts


def test_names_that_begin_alike_stay_different():
    names = [f"fine-tuning from:block_{number}_expand" for number in (10, 13)]
    svg = figures.time_spent(dict.fromkeys(names, 2.0)).svg
    assert ">fine-tunin…10_expand<" in svg and ">fine-tunin…13_expand<" in svg
    svg = figures.time_spent(
        {"a" * 30 + "b" * 30: 1.0, "a" * 31 + "b" * 29: 2.0}
    ).svg  # even alike ones have bars of their own
    assert svg.count("aaaaaaaaaa…bbbbbbbbb") == 2


def test_a_run_whose_name_begins_with_an_underscore_is_in_the_legend():
    assert "_first" in figures.validation_curves(["_first", "second"], [EPOCHS, EPOCHS], name="accuracy").svg


def test_names_of_phases_do_not_overlap():
    names = ["head", "fine-tuning blocks:1", "fine-tuning blocks:2", "fine-tuning blocks:4"]
    epochs = [dataclasses.replace(EPOCHS[0], epoch=number + 1, phase=names[number // 2]) for number in range(8)]
    places = {text: (x, y) for text, x, y in texts_of(figures.curves(epochs, kept_epoch=2)) if text in names}
    assert set(places) == set(names)
    for (_, (x, y)), (_, (next_x, next_y)) in zip(list(places.items())[1:], list(places.items())[2:], strict=False):
        assert y != next_y or next_x - x > 100  # points, of twenty letters


def test_text_stays_text():
    assert ">block 1<" in DRAWN["network"]().svg
    assert "$5 &amp; $6" in DRAWN["few classes"]().svg


def test_frozen_and_trained_blocks_are_told_apart():
    svg = figures.network(ROWS).svg
    assert svg.count(">frozen<") == 1
    assert svg.count(">trained, rate times 0.005<") == 1
    assert "1 part is frozen, 2 are trained, from block 1 to head" in figures.network(ROWS).description


def test_two_figures_share_no_name():
    names = [
        {element.get("id") for element in xml.etree.ElementTree.fromstring(DRAWN[each]().svg).iter()} - {None}
        for each in (
            "network",
            "two phases",
            "few classes",
            "calibration",
            "time",
            "reached",
        )
    ]
    assert sum(map(len, names)) == len(set().union(*names))


def test_heat_is_bright_and_no_heat_is_dark():
    image = np.full((2, 2, 3), 200, np.float32)
    laid = figures.overlay(image, np.array([[0, 1], [0, 1]], np.float32))
    assert laid[:, 1].mean() > laid[:, 0].mean() + 50
    assert laid.min() >= 0 and laid.max() <= 255
