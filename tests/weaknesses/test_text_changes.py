"""Tests of tl_keras.weaknesses.text_changes: what each rule makes of a sentence."""

import difflib

import numpy as np
import pytest

from tl_keras.weaknesses.text_changes import CHANGES

OF = {change.name: change for change in CHANGES}
TEXT = "What is the Highest mountain, if it does not rain?"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("capitals only", TEXT.upper()),
        ("small letters only", TEXT.lower()),
        ("no punctuation", "What is the Highest mountain if it does not rain"),
        ("short forms", "What's the Highest mountain, if it doesn't rain?"),
        ("negation", "What is not the Highest mountain, if it does not rain?"),
    ],
)
def test_a_rule_gives(name, expected):
    assert OF[name].apply(TEXT, 1, np.random.default_rng(0)) == expected


@pytest.mark.parametrize("text", ["I can't see it.", "I can\u2019t see it."])
def test_what_is_negated_already_is_left(text):
    assert OF["negation"].apply(text, 1, np.random.default_rng(0)) == text


@pytest.mark.parametrize("name", ["letters exchanged", "keys beside the right ones"])
def test_typing_errors_keep_length_and_short_words_and_grow(name):
    counts = []
    for part, _ in OF[name].strengths:
        changed = OF[name].apply(TEXT * 5, part, np.random.default_rng(0))
        assert len(changed) == len(TEXT * 5) and changed.count(" is ") == 5
        counts.append(sum(a != b for a, b in zip(changed.split(), (TEXT * 5).split(), strict=True)))
    assert counts == sorted(counts) and 1 <= counts[0] < counts[-1]
    one = OF[name].apply("a mountain", 0.0, np.random.default_rng(1))
    assert one != "a mountain" and difflib.SequenceMatcher(None, one, "a mountain").ratio() > 0.8


def test_what_has_no_latin_word_stays_as_it_is():
    assert OF["letters exchanged"].apply("中 12 ?", 1.0, np.random.default_rng(0)) == "中 12 ?"
    assert OF["no punctuation"].apply("?!", 1, np.random.default_rng(0)) == "?!"
