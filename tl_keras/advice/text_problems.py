"""Finds what is wrong with texts: near-copies, other scripts, texts that the teacher does not read to their end."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.problems import Problem, single
from tl_keras.advice.suspects import smallest_of_component
from tl_keras.config import TransferConfig
from tl_keras.data.sources import Source
from tl_keras.data.text_lines import text_of
from tl_keras.text.teachers import read_text_teacher
from tl_keras.text.text_defaults import for_texts, with_length
from tl_keras.text.tokenizing import count_tokens

# Number of characters of the sequences, within words, that texts are compared by.
_SEQUENCE = 4

# Cosine of the counts of sequences, weighted by how rare each is, from which on texts are nearly the same. Of TREC's 5,952
# questions 108 pairs reach it, and nearly all of those looked at ask the same; from 0.8 to 0.9 some ask it of another thing.
_NEARLY_THE_SAME = 0.9

# Number of words below which only exact copies count: one other word of four is another text.
_FEWEST_WORDS = 5

# Part of the texts below which a script is not what the others are written in.
_RARE_SCRIPT = 0.05

_BLOCK = 128


class TextChecks:
    """Looks at texts: copies by their letters, scripts, and how much of them the teacher reads.

    Args:
      source: The texts.
      indices: int64 (n,), those with letters or figures, ascending.
      candidate: Teacher of texts.
      config: Config whose cache and seed are used.

    Raises:
      BackboneError: The teacher takes no texts.
    """

    def __init__(self, source: Source, indices: np.ndarray, candidate: Candidate, config: TransferConfig):
        self._source, self._indices = source, indices
        self._texts = [text_of(source, index) for index in indices.tolist()]
        chosen = for_texts(dataclasses.replace(config, model=candidate.choose(config.model)))
        self.config, _ = with_length(chosen, source, indices)

    def near_copies(self) -> np.ndarray:
        """Implements `Checks.near_copies`: texts that differ in case, accents and punctuation, or in a few letters of many."""
        letters = [_letters(text) for text in self._texts]
        rows: dict[str, int] = {}  # an array of the letters would give each text the room of the longest
        first = np.array([rows.setdefault(text, row) for row, text in enumerate(letters)], np.int64)
        compared = np.array([row for text, row in rows.items() if len(text.split()) >= _FEWEST_WORDS], np.int64)
        pairs = [np.stack([np.arange(len(letters)), first], axis=1)]
        if len(compared) > 1:
            pairs += [compared[near] for near in _near([letters[row] for row in compared.tolist()])]
        return smallest_of_component(first, np.concatenate(pairs))

    def problems(self, together: np.ndarray) -> Iterator[Problem]:
        """Implements `Checks.problems`."""
        yield self._other_scripts()
        yield self._cut()

    def _other_scripts(self) -> Problem:
        scripts = np.array([_script(text) for text in self._texts])
        counts = Counter(scripts[scripts != ""].tolist())
        rare = {script for script, count in counts.items() if count < _RARE_SCRIPT * len(scripts)}
        rows = np.flatnonzero(np.isin(scripts, list(rare)))
        common = ", ".join(script for script, _ in counts.most_common() if script not in rare)
        return single(
            "other script",
            f"the others are written in {common} letters, which the teacher may alone know",
            self._ids(rows),
            scripts[rows].tolist(),
        )

    def _cut(self) -> Problem:
        teacher = read_text_teacher(self.config.model.backbone)
        counts, most = count_tokens(teacher.tokenizer, self._texts), self.config.model.max_tokens
        longest = np.argsort(-counts, kind="stable")
        rows = longest[counts[longest] > most]
        return single(
            "cut",
            f"longer than the {most} tokens that are read: what comes after does not count",
            self._ids(rows),
            [f"{count} tokens" for count in counts[rows].tolist()],
        )

    def _ids(self, rows: np.ndarray) -> list[str]:
        return [self._source.ids[index] for index in self._indices[rows].tolist()]


def _letters(text: str) -> str:
    """Returns the letters and figures of a text in lower case without accents, a space for what is between them."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    spaced = "".join(each if each.isalnum() else " " for each in plain if not unicodedata.combining(each))
    return " ".join(spaced.split()) or text


def _near(texts: list[str]) -> Iterator[np.ndarray]:
    """Yields pairs of positions of texts that are nearly the same, int64 (k, 2)."""
    counts = CountVectorizer(analyzer="char_wb", ngram_range=(_SEQUENCE, _SEQUENCE), dtype=np.float32)
    weighted = TfidfTransformer().fit_transform(counts.fit_transform(texts))
    transposed = weighted.T.tocsr()
    for start in range(0, len(texts), _BLOCK):
        cosines = (weighted[start : start + _BLOCK] @ transposed).tocoo()
        near = cosines.data >= _NEARLY_THE_SAME
        yield np.stack([start + cosines.row[near], cosines.col[near]], axis=1)


def _script(text: str) -> str:
    """Returns the script of most letters of a text by their Unicode names, such as `latin`; empty if it has no letter."""
    names = Counter(unicodedata.name(each, "").partition(" ")[0].lower() for each in text[:1000] if each.isalpha())
    return names.most_common(1)[0][0] if names else ""
