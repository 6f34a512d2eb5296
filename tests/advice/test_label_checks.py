"""Tests of tl_keras.advice.label_checks: likely wrong labels of any kind."""

import numpy as np
import pytest

from tl_keras.advice.label_checks import check_labels
from tl_keras.data.arrays import ArraySource

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(120, 4)).astype(np.float32)


def source_of(labels, names):
    source = ArraySource(np.zeros((120, 8, 8, 3), np.uint8), np.arange(120) % 2)
    source.labels, source.class_names = labels, names
    return source


SEVERAL = (FEATURES[:, :2] > 0).astype(np.int64)
NUMBERS = 10 + 3 * FEATURES[:, :1].astype(np.float64)
NUMBERS = np.concatenate([NUMBERS, -NUMBERS], axis=1)


def planted(labels, wrong):
    changed = labels.copy()
    changed[7, 0] = wrong
    return changed


# The clearest image of its kind, so that its wrong label is the likeliest one.
FEATURES[7] = (4, 4, 0, 0)
SEVERAL[7], NUMBERS[7] = 1, (22, -22)
CASES = {
    "class": (planted(SEVERAL, 0)[:, 0], ("no", "yes"), "labelled no, looks like yes", 0.9),
    "labels": (planted(SEVERAL, 0), ("a", "b"), "without a, looks as if it had it", 0.9),
    "numbers": (planted(NUMBERS, 0), ("a", "b"), "a 0, looks like", 0.5),  # one far number has much of the variance
}


@pytest.mark.parametrize(("labels", "names", "remark", "score"), CASES.values(), ids=CASES)
def test_a_planted_mistake_is_the_first_suspect(labels, names, remark, score):
    check = check_labels(source_of(labels, names), np.arange(120), FEATURES, groups=np.arange(120), seed=0)
    row, said = check.suspects[0]
    assert row == 7
    assert said.startswith(remark)
    assert score < check.score < 1


def test_large_numbers_are_whole():
    labels = planted(100_000 * NUMBERS, 1_234_567)
    check = check_labels(source_of(labels, ("a", "b")), np.arange(120), FEATURES, groups=np.arange(120), seed=0)
    _, said = check.suspects[0]
    assert said.startswith("a 1,234,567, looks like ") and "e+0" not in said


def test_unknown_labels_are_not_judged():
    labels = planted(SEVERAL, -1)
    check = check_labels(source_of(labels, ("a", "b")), np.arange(120), FEATURES, groups=np.arange(120), seed=0)
    assert not any(row == 7 and " a" in said for row, said in check.suspects)


@pytest.mark.parametrize("several", [False, True])
def test_a_class_of_one_group_is_not_doubted(several):
    random, rows = np.random.default_rng(0), np.arange(120)
    classes = rows // 40
    features = (3 * np.eye(3)[classes] + 0.3 * random.normal(size=(120, 3))).astype(np.float32)
    groups = np.where(classes == 2, 1000, rows)  # no model is asked about this class that was shown it
    labels, names = (np.eye(3, dtype=np.int64)[classes] if several else classes), ("a", "b", "c")
    check = check_labels(source_of(labels, names), rows, features, groups=groups, seed=0)
    assert not [said for _, said in check.suspects if said.startswith("labelled c")]
    if not several:
        assert (check.suspects, check.expected_errors) == ((), 0)
        assert check.says.endswith("cannot judge those of c, whose images all belong together")
