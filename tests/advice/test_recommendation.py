"""Tests of tl_keras.advice.recommendation: which teacher, method and cut is chosen of teachers with given scores."""

import dataclasses

import numpy as np
import pytest

from tl_keras.advice.candidates import Candidate, parse_candidate
from tl_keras.advice.recommendation import options_of, ranked
from tl_keras.advice.teacher_scores import Depth, TeacherScores
from tl_keras.probes.probe import Probe

LABELS = np.arange(200) % 10
CUTS = ("blocks:8", "blocks:4", "blocks:2", "none")
EMBEDDED = Candidate("MobileNetV2", "embedded")


def a_probe(right):
    """Returns a probe that answers a part of the images rightly, spread over the classes."""
    answers = np.where(np.arange(200) < 200 * right, LABELS, (LABELS + 1) % 10)
    return Probe(np.eye(10)[answers], LABELS)


def a_teacher(*right, candidate=EMBEDDED, parameters=10):
    """Returns the scores of a teacher whose probe is right so often at each of the four depths."""
    depths = [
        Depth(cut, f"before {cut}", np.zeros((200, 1)), a_probe(part), neighbours=part, log_me=0.0, h_score=0.0)
        for cut, part in zip(CUTS, right, strict=True)
    ]
    return TeacherScores(candidate, parameters, 96, tuple(depths), closeness=None, seconds=1.0)


@pytest.mark.parametrize(
    ("right", "method"),
    [
        ((0.7, 0.75, 0.8, 0.8), "fine_tune"),
        ((1.0, 1.0, 1.0, 1.0), "feature_extraction"),  # nothing to gain
        ((0.7, 0.8, 0.99, 0.99), "feature_extraction"),
    ],
)
def test_a_teacher_whose_probe_is_all_but_perfect_is_not_fine_tuned(right, method):
    assert ranked([a_teacher(*right)])[0].method == method


def test_where_shallower_features_are_better_the_blocks_behind_them_are_trained():
    first = ranked([a_teacher(0.5, 0.8, 0.6, 0.6)])[0]
    assert (first.method, first.unfreeze) == ("fine_tune", "blocks:4")


def test_only_cuts_whose_gain_was_measured_are_options():
    assert [option.unfreeze for option in options_of(a_teacher(0.9, 0.8, 0.8, 0.8))] == [
        "all",
        "blocks:4",
        "blocks:2",
        "none",
    ]


def test_the_interval_holds_the_estimate_and_stays_within_0_and_1():
    for right in (0.0, 0.05, 0.5, 0.95):
        for option in options_of(a_teacher(*(right,) * 4)):
            low, high = option.interval
            assert 0 <= low <= option.accuracy < high <= 1


def test_of_teachers_as_good_the_largest_with_imagenet_weights_is_chosen():
    embedded = a_teacher(0.7, 0.8, 0.8, 0.8, parameters=3)
    small = dataclasses.replace(embedded, candidate=Candidate("Small"), parameters=1)
    larger = dataclasses.replace(embedded, candidate=Candidate("Larger"), parameters=2)
    chosen = ranked([embedded, larger, small])[0]
    assert chosen.candidate.name == "Larger"
    assert chosen.accuracy == max(option.accuracy for option in options_of(embedded))


def test_a_teacher_whose_probe_is_worse_is_not_chosen():
    worse = a_teacher(0.3, 0.3, 0.3, 0.3, candidate=Candidate("Worse"), parameters=100)
    assert ranked([worse, a_teacher(0.7, 0.8, 0.8, 0.8)])[0].candidate == EMBEDDED
    assert options_of(worse)[-1].accuracy < 0.5


def test_where_four_have_a_published_accuracy_it_counts_beside_the_probes():
    names = ("MobileNetV2:0.35", "MobileNet:0.5", "MobileNetV2", "EfficientNetLite0", "EfficientNetLite2")
    right = (0.70, 0.72, 0.75, 0.80, 0.79)
    teachers = [
        a_teacher(*(part,) * 4, candidate=parse_candidate(name)) for name, part in zip(names, right, strict=True)
    ]
    teachers.append(a_teacher(0.3, 0.3, 0.3, 0.3))
    options = ranked(teachers, "feature_extraction")
    corrected = {option.candidate.name: option.accuracy for option in options}
    assert options[0].accuracy == max(corrected.values())  # what is published has counted, and decides no tie
    assert corrected["MobileNetV2:embedded"] == pytest.approx(0.3, abs=0.01)
    # The probes have Lite0 a point before Lite2, print has it two and a half behind.
    assert corrected["EfficientNetLite0"] - corrected["EfficientNetLite2"] < 0.008
    assert all(option.correction == pytest.approx(0) for option in ranked(teachers[:3]))
