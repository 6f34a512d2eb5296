"""Tests of tl_keras.probes.alternatives: in doubt the prior holds."""

import numpy as np
import pytest

from tl_keras.probes.alternatives import Alternative, choose, describe
from tl_keras.probes.probe import Probe


def _view(name, *, right, of=100, shift=0):
    labels = np.zeros(of, int)
    answers = np.roll(np.arange(of) >= right, shift).astype(int)
    return Alternative(name, Probe(np.eye(2)[answers], labels))


CHOICES = {
    "clearly better": ([90, 97, 80], 0, "original"),
    "better, but on other images": ([90, 92, 80], 50, "squash"),
    "equal": ([90, 90, 90], 0, "squash"),
    "worse": ([90, 80, 85], 0, "squash"),
    "all right": ([100, 100, 100], 0, "squash"),
}


@pytest.mark.parametrize(("right", "shift", "expected"), CHOICES.values(), ids=CHOICES)
def test_only_a_clearly_better_alternative_takes_the_place_of_the_prior(right, shift, expected):
    names = ("squash", "original", "pad")
    views = [_view(name, right=n, shift=shift * (name != "squash")) for name, n in zip(names, right, strict=True)]
    chosen = choose(views)
    assert chosen.name == expected
    said = describe(views, chosen, measured="a probe")
    assert said.startswith("a probe gets, out of fold, squash ")
    assert ("clearly better" in said) == (expected != "squash")


def test_what_rounds_to_nothing_is_no_gain():
    views = [_view("usual", right=90, of=10_000), _view("other", right=91, of=10_000)]
    assert choose(views, clearly=0).name == "usual"
    assert describe(views, views[0], measured="a probe").endswith("no gain, so usual stays")


def test_an_alternative_that_was_dropped_is_said_and_not_chosen():
    prior, dropped, rival = _view("usual", right=80), _view("dropped", right=50, of=50), _view("rival", right=82)
    assert choose((prior, dropped, rival)) is rival
    said = describe((prior, dropped, rival), rival, measured="a trial")
    assert "dropped 1.000 ± 0.019 (first 50 images), rival 0.820" in said and "rival against usual +0.020" in said
