"""Tests of tl_keras.data.wrong_task."""

import collections

import pytest

from tl_keras.data.wrong_task import require_single_labels
from tl_keras.errors import DataError

TAGS = ["haze primary", "clear road", "clear primary", "haze road"]
SINGLE = {
    "classes": ["cat", "dog"] * 5,
    "words": ["black cat", "white cat", "black dog", "white dog"] * 3,
    "names of ImageNet": ["tench, Tinca tinca", "goldfish, Carassius auratus"] * 3,
    "digits": [str(digit) for digit in range(10)] * 2,
    "a hundred classes": [str(number) for number in range(100)] * 5,
    "few shots": [f"class {number}" for number in range(30)] * 2,
    "two images": ["cat", "dog"],
    "grades": ["1.5", "2.5", "3.5"] * 4,
}
OTHERS = {
    "several, by semicolons": (["cat", "dog", "cat;dog"] * 3, "separated by ';'"),
    "several, by bars": (["cat|dog", "dog|emu", "cat|emu"], r"separated by '\|'"),
    "several, by commas": (["cat", "dog", "cat, dog"], "separated by ','"),
    "tags": ([" ".join(t for b, t in enumerate("abcde") if n >> b & 1) for n in range(1, 32)], "separated by ' '"),
    "ages": ([str(age) for age in range(20, 78)], "58 numbers for 58 images"),
    "measures": ([f"{number / 7:.3f}" for number in range(1, 40)], "something measured"),
    "names of images": ([f"img_{number}" for number in range(50)], "is this the column of labels"),
}


@pytest.mark.parametrize("labels", SINGLE.values(), ids=SINGLE)
def test_single_labels_are_let_through(labels):
    counts = collections.Counter(labels)
    require_single_labels("list.csv", list(counts), list(counts.values()))


@pytest.mark.parametrize(("labels", "message"), OTHERS.values(), ids=OTHERS)
def test_another_task_is_named_and_the_way_past(labels, message):
    counts = collections.Counter(labels)
    with pytest.raises(DataError, match=message + ".*--task=single_label"):
        require_single_labels("list.csv", list(counts), list(counts.values()))
