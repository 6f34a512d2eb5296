"""Tests of tl_keras.weaknesses.audit_record: what is advised follows from the figures."""

import json

import pytest

from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.weaknesses.audit_record import Audit, Condition, Mimicry


def condition(name, accuracy, *, kind="corruption", strength=3.0):
    return Condition(kind, name, strength, "", accuracy, accuracy_interval(accuracy, 100), accuracy, None)


def match(taken, depth="the pooling"):
    return Mimicry(19, depth, True, 4.0, taken, accuracy_interval(taken, 100), 0.1, None)


def audit(conditions, mimicry=()):
    """Returns an audit of 100 images, 90 of which are answered correctly, 5 as their targets are."""
    interval = accuracy_interval(0.9, 100)
    return Audit("test", 100, 0, 0.9, interval, tuple(conditions), tuple(mimicry), 0.05, "", 60.0)


@pytest.mark.parametrize(
    ("name", "remedy"), [("defocus blur", "train on such photos, too"), ("low contrast", "augmentation=strong")]
)
def test_the_corruption_that_costs_most_is_named_with_its_remedy(name, remedy):
    advice = audit([condition("brightness", 0.88), condition(name, 0.5)]).advice
    assert f"{name} costs most (90% correct, 50% at severity 3)".lower() in advice.lower()
    assert remedy in advice


def test_a_loss_within_the_interval_is_none():
    assert audit([condition("defocus blur", 0.87)]).advice.startswith("Photos corrupted at the middle severity cost no")


def test_mimicry_that_succeeds_is_named_with_its_depth():
    advice = audit([condition("defocus blur", 0.9)], [match(0.1), match(0.7, "block 13")]).advice
    assert "matched after block 13, lets a stranger choose the answer for 70%" in advice


def test_mimicry_no_better_than_chance_is_not_named():
    assert "stranger" not in audit([condition("defocus blur", 0.9)], [match(0.06)]).advice


def test_the_weakest_attack_that_costs_accuracy_is_named():
    attacks = [condition("PGD", 0.1, kind="attack", strength=1.0), condition("FGSM", 0.5, kind="attack", strength=0.5)]
    assert "by 0.5 of 255 grey levels" in audit([condition("defocus blur", 0.9), *attacks]).advice


def test_the_advice_is_one_sentence_and_goes_into_the_json():
    found = audit([condition("defocus blur", 0.5), condition("PGD", 0.0, kind="attack")], [match(0.7)])
    assert found.advice.count(". ") == 0
    assert json.loads(json.dumps(found.to_json()))["advice"] == found.advice
