"""Tests of tl_keras.reporting.audit_figures: every drawing is well-formed SVG that stands alone."""

import xml.etree.ElementTree

import pytest

from tl_keras.reporting.audit_figures import mimicry, under_strain

LEFT = {"strength": 1.0, "accuracy": 0.5, "interval": (0.4, 0.6), "unchanged": 0.6}
AUDIT = {
    "accuracy": 0.7,
    "interval": (0.6, 0.8),
    "chance": 0.1,
    "conditions": [{**LEFT, "name": name, "teacher_unchanged": 0.3} for name in ("blur", "FGSM", "PGD")],
    "mimicry": [{"depth": "block 3", "is_cut": True, "taken": 0.5, "interval": (0.4, 0.6), "teacher_taken": 0.2}],
}

DRAWN = {
    "under strain": lambda: under_strain(AUDIT),
    "under strain, without a teacher": lambda: under_strain(
        {**AUDIT, "conditions": [{**row, "teacher_unchanged": None} for row in AUDIT["conditions"]]}
    ),
    "mimicry": lambda: mimicry(AUDIT),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_is_well_formed_and_takes_the_colour_of_the_page(name):
    picture = DRAWN[name]()
    root = xml.etree.ElementTree.fromstring(picture.svg)
    assert root.tag.endswith("svg")
    assert "currentColor" in picture.svg
    assert picture.description.endswith(".")


def test_two_figures_share_no_name():
    names = [
        {element.get("id") for element in xml.etree.ElementTree.fromstring(draw().svg).iter()} - {None}
        for draw in (DRAWN["under strain"], DRAWN["mimicry"])
    ]
    assert not names[0] & names[1]


def test_a_score_below_0_lies_inside_the_axes():
    rows = [{**row, "accuracy": -1.5, "interval": (-2.5, -0.5)} for row in AUDIT["conditions"]]
    assert "\N{MINUS SIGN}2" in under_strain({**AUDIT, "score_name": "r2", "conditions": rows}).svg  # a tick
