"""Tokenizes texts in core operations of TensorFlow, so that a SavedModel takes strings anywhere; the ids are those of `tokenizers`.

BERT's normalisation and splitting look at one code point at a time. What becomes of each is asked of the `tokenizers` library
itself, when the graph is made, so that no table of Unicode has to be the same in two places.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import tokenizers

# What a code point is. Alone: a word of its own, as punctuation and Chinese are. Absent: left out, as control characters are.
_LETTER, _SPACE, _ALONE, _ABSENT = range(4)
_NOTHING = -1
_BUCKETS = 2**63 - 1
_SURROGATES = range(0xD800, 0xE000)
_CODE_POINTS = 0x110000
# The planes in which Unicode has assigned characters; another plane is as its first code point.
_PLANE, _ASSIGNED = 0x10000, (0, 1, 2, 3, 14)
_NO_CHARACTERS = (0xFFFE, 0xFFFF)  # the last two of each plane
# In front of every code point while the library is asked; nothing else becomes it, and it separates.
_MARK = "|"


@dataclasses.dataclass(frozen=True, eq=False)
class CodePoints:
    """What becomes of code points.

    Attributes:
      changed: int32 (k,), ascending, code points that become others.
      becomes: int32 (k, w), what they become, -1 at the end.
      first: int32 (r,), ascending from 0, first code point of each range of one kind.
      kinds: int32 (r,), the kinds of the ranges.
    """

    changed: np.ndarray
    becomes: np.ndarray
    first: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, library: tokenizers.Tokenizer) -> CodePoints:
        """Returns what a tokenizer's normalisation and splitting do to each code point."""
        points = [
            point
            for point in range(_CODE_POINTS)
            if (point // _PLANE in _ASSIGNED or point % _PLANE in (0, *_NO_CHARACTERS))
            and point not in _SURROGATES
            and point != ord(_MARK)
        ]
        normal = library.normalizer.normalize_str(_MARK.join(map(chr, points))).split(_MARK)
        kinds: np.ndarray = np.zeros(_CODE_POINTS, np.int32)
        changed: dict[int, list[int]] = {}
        alone = [_MARK]
        for point, made in zip(points, normal, strict=True):
            word = made.strip(" ")
            if not word:
                kinds[point] = _SPACE if made else _ABSENT
            elif word != made:  # spaces that the normalizer puts around it
                alone.append(word)
            if word and word != chr(point):
                changed[point] = list(map(ord, word))
        kinds[list(map(ord, "".join([*alone, *_split_off(library, "".join(normal))])))] = _ALONE
        for plane in range(_CODE_POINTS // _PLANE):
            if plane not in _ASSIGNED:
                kinds[plane * _PLANE :][: _NO_CHARACTERS[0]] = kinds[plane * _PLANE]
        becomes: np.ndarray = np.full((len(changed), max(map(len, changed.values()))), _NOTHING, np.int32)
        for row, made_of in zip(becomes, changed.values(), strict=True):
            row[: len(made_of)] = made_of
        first = np.flatnonzero(np.diff(kinds, prepend=-1)).astype(np.int32)
        return cls(np.array(list(changed), np.int32), becomes, first, kinds[first])


def _split_off(library: tokenizers.Tokenizer, characters: str) -> list[str]:
    """Returns those of some characters that the library makes words of their own."""
    asked = "".join(f" a{each}a" for each in dict.fromkeys(characters) if not each.isalnum())
    return [word for word, _ in library.pre_tokenizer.pre_tokenize_str(asked) if len(word) == 1 and word != "a"]


@dataclasses.dataclass(frozen=True, eq=False)
class WordPiece:
    """BERT's tokenizing as TensorFlow operations.

    Attributes:
      code_points: Table of what becomes of code points.
      hashes: int64 (v,), ascending, hashes of the pieces.
      pieces: str (v,), the pieces in that order, those within a word after the prefix.
      ids: int32 (v,), their ids.
      longest: Number of code points of the longest piece.
      prefix: Beginning of the pieces within a word, `##`.
      unknown: Id of a word that no pieces make up.
      most_characters: Number of code points above which a word is unknown.
      around: Ids before and after a text.
      max_tokens: Number of token ids above which a text is cut.
    """

    code_points: CodePoints
    hashes: np.ndarray
    pieces: np.ndarray
    ids: np.ndarray
    longest: int
    prefix: str
    unknown: int
    most_characters: int
    around: tuple[int, int]
    max_tokens: int

    @classmethod
    def of(cls, library: tokenizers.Tokenizer, values: dict[str, Any], *, max_tokens: int) -> WordPiece:
        """Returns the tokenizing that a tokenizer of the library and its `tokenizer.json` describe."""
        model = values["model"]
        vocabulary, prefix = model["vocab"], model.get("continuing_subword_prefix", "##")
        pieces = np.array([piece.encode() for piece in vocabulary], object)
        hashes = _hash(tf.constant(pieces)).numpy()
        order = np.argsort(hashes)
        return cls(
            code_points=CodePoints.of(library),
            hashes=hashes[order],
            pieces=pieces[order],
            ids=np.array(list(vocabulary.values()), np.int32)[order],
            longest=max(len(piece.removeprefix(prefix)) for piece in vocabulary),
            prefix=prefix,
            unknown=vocabulary[model.get("unk_token", "[UNK]")],
            most_characters=model.get("max_input_chars_per_word", 100),
            around=(vocabulary["[CLS]"], vocabulary["[SEP]"]),
            max_tokens=max_tokens,
        )

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the token ids of texts in UTF-8, string (n,), as int32 (n, tokens), padded to the longest of them."""
        words = self._words(texts)
        kept = words[:, : self.max_tokens]  # each word is one token or more
        pieces = self._pieces_of(kept.values)
        tokens = tf.RaggedTensor.from_row_splits(pieces.values, tf.gather(pieces.row_splits, kept.row_splits))
        tokens = tokens[:, : self.max_tokens - 2]
        before, after = (tf.fill([tokens.nrows(), 1], special) for special in self.around)
        whole = tf.concat([before, tokens, after], axis=1)
        return whole.to_tensor(0)

    def _words(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the normalised words of texts, string (n, words)."""
        table = self.code_points
        # Replaced by a code point that the normaliser leaves out.
        points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace", replacement_char=0xFFFD)
        flat = points.flat_values
        row = tf.minimum(tf.searchsorted(table.changed, flat), len(table.changed) - 1)
        is_changed = tf.gather(table.changed, row) == flat
        width = table.becomes.shape[1]
        same = tf.pad(flat[:, None], [[0, 0], [0, width - 1]], constant_values=_NOTHING)
        made = tf.where(is_changed[:, None], tf.gather(table.becomes, row), same)
        is_made = made != _NOTHING
        characters = tf.boolean_mask(made, is_made)
        text_of = tf.boolean_mask(tf.repeat(points.value_rowids()[:, None], width, axis=1), is_made)
        kinds = tf.gather(table.kinds, tf.searchsorted(table.first, characters, side="right") - 1)
        characters, kinds, text_of = (
            tf.boolean_mask(values, kinds != _ABSENT) for values in (characters, kinds, text_of)
        )
        return _split(characters, kinds, text_of, texts=tf.size(texts, out_type=tf.int64))

    def _pieces_of(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of the pieces of words, int32 (n, pieces): from the left, always the longest piece that there is."""
        lengths = tf.strings.length(words, unit="UTF8_CHAR")
        too_long = lengths > self.most_characters
        counts = tf.range(1, self.longest + 1)

        def goes_on(start: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return tf.reduce_any(start < lengths)

        def next_piece(start: tf.Tensor, found: tf.Tensor, unknown: tf.Tensor) -> tuple[tf.Tensor, ...]:
            candidates = tf.strings.substr(
                tf.repeat(words[:, None], self.longest, axis=1),
                tf.repeat(start[:, None], self.longest, axis=1),
                tf.repeat(counts[None], tf.size(words), axis=0),
                unit="UTF8_CHAR",
            )
            fits = start[:, None] + counts <= lengths[:, None]
            named = tf.where(start[:, None] > 0, tf.strings.join([self.prefix, candidates]), candidates)
            ids = tf.where(fits, self._look_up(named), _NOTHING)
            longest = tf.reduce_max(tf.where(ids >= 0, counts, 0), axis=1)
            is_open = start < lengths
            is_stuck = is_open & (longest == 0)
            best = tf.gather(ids, tf.maximum(longest - 1, 0), axis=1, batch_dims=1)
            column = tf.where(is_open & ~is_stuck, best, _NOTHING)
            start = tf.where(is_stuck, lengths, tf.minimum(start + longest, lengths))
            return start, tf.concat([found, column[:, None]], axis=1), unknown | is_stuck

        nothing = tf.zeros((tf.size(words), 0), tf.int32)
        _, found, unknown = tf.while_loop(
            goes_on,
            next_piece,
            (tf.where(too_long, lengths, 0), nothing, too_long),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None, None]), tf.TensorShape([None])),
        )
        only_unknown = tf.where(unknown, self.unknown, _NOTHING)[:, None]
        found = tf.concat([only_unknown, tf.where(unknown[:, None], _NOTHING, found)], axis=1)
        return tf.ragged.boolean_mask(found, found != _NOTHING)

    def _look_up(self, pieces: tf.Tensor) -> tf.Tensor:
        """Returns the ids of pieces, int32 of their shape; -1 for those that are none."""
        # Constants, unlike a table, need not be initialised where the graph is loaded.
        position = tf.searchsorted(self.hashes, tf.reshape(_hash(pieces), [-1]))
        position = tf.reshape(tf.minimum(position, len(self.hashes) - 1), tf.shape(pieces))
        is_piece = tf.gather(tf.constant(self.pieces), position) == pieces
        return tf.where(is_piece, tf.gather(self.ids, position), _NOTHING)


def _hash(pieces: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(pieces, _BUCKETS)


def _split(characters: tf.Tensor, kinds: tf.Tensor, text_of: tf.Tensor, *, texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns words, string (texts, words).

    Args:
      characters: int32 (n,), code points of all texts, one text after the other.
      kinds: int32 (n,), their kinds.
      text_of: int64 (n,), the texts that they are of.
      texts: Number of texts, int64 ().
    """
    before = tf.concat([[_SPACE], kinds[:-1]], axis=0)[: tf.size(kinds)]
    new_text = tf.concat([[True], text_of[1:] != text_of[:-1]], axis=0)[: tf.size(kinds)]
    begins = (kinds != _SPACE) & ((before != _LETTER) | (kinds == _ALONE) | new_text)
    word_of = tf.cumsum(tf.cast(begins, tf.int64)) - 1
    in_word = kinds != _SPACE
    words = tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(characters, in_word),
        tf.boolean_mask(word_of, in_word),
        nrows=tf.reduce_sum(tf.cast(begins, tf.int64)),
    )
    return tf.RaggedTensor.from_value_rowids(
        tf.strings.unicode_encode(words, "UTF-8"), tf.boolean_mask(text_of, begins), nrows=texts
    )
