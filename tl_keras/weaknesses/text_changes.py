"""Changes texts as people do, by published rules: typing errors, case, punctuation, short forms, negation.

Typing errors are those of Belinkov and Bisk 2018, "Synthetic and natural noise both break neural machine translation", section 3.2;
the changes that leave the meaning, and the one that does not, are those of Ribeiro et al. 2020, "Beyond accuracy: behavioral
testing of NLP models with CheckList". All rules of words are of English.
"""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Callable

import numpy as np

# Rows of a keyboard; the neighbours of a key are those beside it.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {key: (row[max(at - 1, 0) : at] + row[at + 1 : at + 2]) for row in _ROWS for at, key in enumerate(row)}

# CheckList's contractions.
_SHORT = {
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "were not": "weren't",
    "do not": "don't",
    "does not": "doesn't",
    "did not": "didn't",
    "cannot": "can't",
    "can not": "can't",
    "will not": "won't",
    "would not": "wouldn't",
    "could not": "couldn't",
    "should not": "shouldn't",
    "have not": "haven't",
    "has not": "hasn't",
    "what is": "what's",
    "who is": "who's",
    "where is": "where's",
    "how is": "how's",
    "it is": "it's",
    "that is": "that's",
    "there is": "there's",
    "i am": "i'm",
    "you are": "you're",
    "we are": "we're",
    "they are": "they're",
    "i have": "i've",
    "i will": "i'll",
}
# Not can't, which is negated.
_VERBS = r"\b(is|are|was|were|can|could|will|would|should|do|does|did|has|have)\b(?!['\u2019]| not\b)"


@dataclasses.dataclass(frozen=True)
class TextChange:
    """A change of texts.

    Attributes:
      name: Name in a few words.
      strengths: Strengths, each with its setting in words.
      apply: Function of a text, a strength and a generator of random numbers to the changed text.
      keeps_meaning: Whether a reader would give the same answer.
    """

    name: str
    strengths: tuple[tuple[float, str], ...]
    apply: Callable[[str, float, np.random.Generator], str]
    keeps_meaning: bool = True


def _in_words(change: Callable[[str, np.random.Generator], str]) -> Callable[[str, float, np.random.Generator], str]:
    """Returns a change of each word of four letters and more with a probability, of at least one of them."""

    def apply(text: str, part: float, random: np.random.Generator) -> str:
        words = [match.span() for match in re.finditer(r"[A-Za-z]{4,}", text)]
        if not words:
            return text
        chosen = random.random(len(words)) < part
        chosen[random.integers(len(words))] = True
        for start, end in (words[row] for row in np.flatnonzero(chosen)[::-1].tolist()):
            text = text[:start] + change(text[start:end], random) + text[end:]
        return text

    return apply


def _swapped(word: str, random: np.random.Generator) -> str:
    """Returns a word with two neighbouring letters exchanged, neither of them the first or the last."""
    at = int(random.integers(1, len(word) - 2))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _mistyped(word: str, random: np.random.Generator) -> str:
    """Returns a word with one letter replaced by that of a key beside it."""
    at = int(random.integers(len(word)))
    return word[:at] + str(random.choice(list(_NEIGHBOURS[word[at].lower()]))) + word[at + 1 :]


def _shortened(text: str, strength: float, random: np.random.Generator) -> str:
    def short_of(found: re.Match[str]) -> str:
        short = _SHORT[found[0].lower()]
        return short[0].upper() + short[1:] if found[0][0].isupper() else short

    return re.sub(rf"\b({'|'.join(_SHORT)})\b", short_of, text, flags=re.IGNORECASE)


def _negated(text: str, strength: float, random: np.random.Generator) -> str:
    return re.sub(_VERBS, r"\1 not", text, count=1, flags=re.IGNORECASE)


def _without_signs(text: str, strength: float, random: np.random.Generator) -> str:
    return " ".join(text.translate(str.maketrans(string.punctuation, " " * len(string.punctuation))).split()) or text


_PARTS = tuple(
    (part, f"{part:.0%} of the words of four letters and more, at least one") for part in (0.1, 0.2, 0.4, 0.7, 1.0)
)

CHANGES = (
    TextChange("letters exchanged", _PARTS, _in_words(_swapped)),
    TextChange("keys beside the right ones", _PARTS, _in_words(_mistyped)),
    TextChange("capitals only", ((1, "the whole text"),), lambda text, strength, random: text.upper()),
    TextChange("small letters only", ((1, "the whole text"),), lambda text, strength, random: text.lower()),
    TextChange("no punctuation", ((1, "the whole text"),), _without_signs),
    TextChange("short forms", ((1, "such as what's for what is"),), _shortened),
    TextChange("negation", ((1, "not after the first verb such as is"),), _negated, keeps_meaning=False),
)
