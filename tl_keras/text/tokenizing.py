"""Turns texts into token ids as the teacher knew them: one spec serves the pipeline, the evaluation and the exported model."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tl_keras.errors import BackboneError, DependencyError
from tl_keras.untrusted import parse_json

if TYPE_CHECKING:
    import tensorflow as tf
    import tokenizers

    from tl_keras.text.wordpiece import WordPiece

_SPECIAL = ("[CLS]", "[SEP]")
_PADDING, _PADDING_ID = "[PAD]", 0
# Few enough for compilers that work for each length, and no text is padded to more than one and a half times its own.
_LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPreprocess:
    """Records how a teacher's texts become token ids; it is to texts what `PreprocessSpec` is to images.

    Attributes:
      tokenizer: Content of `tokenizer.json`, as the `tokenizers` library reads it.
      max_tokens: Number of token ids above which a text is cut; shorter texts are padded with 0.
    """

    tokenizer: str
    max_tokens: int

    @property
    def image_size(self) -> int:
        """Returns 0: it takes no images."""
        return 0

    @property
    def input_shape(self) -> tuple[int]:
        """Returns the shape of one input of the network."""
        return (self.max_tokens,)

    @property
    def network_shape(self) -> tuple[None]:
        """Returns the shape of one input of the network, which takes any number of tokens."""
        return (None,)

    @property
    def input_dtype(self) -> str:
        """Returns the type of the network's input."""
        return "int32"

    @property
    def input_name(self) -> str:
        """Returns the name of the network's input."""
        return "tokens"

    @property
    def served_name(self) -> str:
        """Returns the name of what clients of a served model send."""
        return "text"

    def kept_fraction(self, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Returns 1 for each text: a remark of its own says what is cut."""
        return np.ones(len(heights))

    def decode(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the text itself."""
        return image

    def describe(self) -> str:
        """Returns the spec in words."""
        return f"WordPiece, {self.max_tokens} tokens"

    def to_json(self) -> dict[str, Any]:
        """Returns the spec as a dictionary of JSON types."""
        return {"tokenizer": self.tokenizer, "max_tokens": self.max_tokens}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextPreprocess:
        """Returns the spec that `to_json` wrote.

        Raises:
          BackboneError: A field is missing, or the tokenizer is of another kind.
        """
        tokenizer, tokens = values.get("tokenizer"), values.get("max_tokens")
        if not isinstance(tokenizer, str) or type(tokens) is not int or tokens < len(_SPECIAL):
            raise BackboneError(
                "preprocess: expected the fields tokenizer, a text, and max_tokens, 2 or more. Received: others."
            )
        require_wordpiece(tokenizer, "preprocess")
        return cls(tokenizer=tokenizer, max_tokens=tokens)

    def normalize(self, images: Any) -> Any:
        """Returns the token ids unchanged: the network looks them up itself."""
        return images

    def evaluation_transform(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the token ids of a text in UTF-8, string (), as int32 (max_tokens,), by the `tokenizers` library."""
        import tensorflow as tf

        def ids_of(text: Any) -> np.ndarray:
            # Bytes in a graph, an array of one object outside of one.
            return self.ids([text if isinstance(text, bytes) else text.item()])[0]

        return tf.ensure_shape(tf.numpy_function(ids_of, [image], tf.int32, stateful=False), (self.max_tokens,))

    def without_padding(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns token ids, int32 (n, tokens), cut after the longest text, at one of a few lengths that suit processors."""
        import tensorflow as tf

        tokens = tf.shape(inputs)[1]
        used = tf.reduce_max(tf.where(inputs == _PADDING_ID, 0, tf.range(1, tokens + 1)))
        lengths = tf.constant([length for length in _LENGTHS if length < self.max_tokens] + [self.max_tokens])
        return inputs[:, : tf.reduce_min(tf.where(lengths < used, self.max_tokens, lengths))]

    def ids(self, texts: Iterable[bytes | str]) -> np.ndarray:
        """Returns the token ids of texts, int32 (n, max_tokens); what is not UTF-8 is left out of a text.

        Raises:
          DependencyError: `tokenizers` is not installed.
        """
        library = library_tokenizer(self.tokenizer, self.max_tokens)
        decoded = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts]
        found = library.encode_batch(decoded)
        return np.array([each.ids for each in found], np.int32).reshape(len(found), self.max_tokens)

    def in_graph(self) -> WordPiece:
        """Returns the same tokenizing in TensorFlow operations only.

        Raises:
          DependencyError: `tokenizers` is not installed.
        """
        from tl_keras.text.wordpiece import WordPiece

        library = library_tokenizer(self.tokenizer)
        return WordPiece.of(library, json.loads(self.tokenizer), max_tokens=self.max_tokens)


def count_tokens(tokenizer: str, texts: Sequence[str]) -> np.ndarray:
    """Returns the number of tokens of each text, int64 (n,), with the two that enclose it.

    Raises:
      DependencyError: `tokenizers` is not installed.
    """
    return np.array([len(each.ids) for each in library_tokenizer(tokenizer).encode_batch(list(texts))], np.int64)


@functools.lru_cache(maxsize=8)
def library_tokenizer(tokenizer: str, max_tokens: int = 0) -> tokenizers.Tokenizer:
    """Returns the tokenizer of the `tokenizers` library that cuts and pads to a number of tokens, or with 0 does neither.

    Names of special tokens in a text are text: nobody can end a sentence by writing [SEP].

    Raises:
      DependencyError: `tokenizers` is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise DependencyError(
            "text: expected the package tokenizers, which reads texts as the teacher did. Received: not installed. "
            "Run: pip install 'tl_keras[text]'"
        ) from error
    found = tokenizers.Tokenizer.from_str(tokenizer)
    found.encode_special_tokens = True
    found.no_padding()
    found.no_truncation()
    if max_tokens:
        found.enable_truncation(max_tokens)
        found.enable_padding(length=max_tokens, pad_id=_PADDING_ID, pad_token=_PADDING)
    return found


def require_wordpiece(tokenizer: str, where: str) -> None:
    """Raises a BackboneError unless a `tokenizer.json` is BERT's: its normalizer, its splitting, WordPiece, [CLS] and [SEP]."""
    try:
        values = parse_json(tokenizer)
        kinds = [values[part]["type"] for part in ("normalizer", "pre_tokenizer", "model")]
        vocabulary = values["model"]["vocab"]
        fits = kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and vocabulary[_PADDING] == 0
        fits = fits and all(type(vocabulary[name]) is int for name in _SPECIAL)
    except (ValueError, KeyError, TypeError):
        fits, kinds = False, ["something else"]
    if not fits:
        raise BackboneError(
            f"{where}: expected a tokenizer.json of BERT's kind (BertNormalizer, BertPreTokenizer, WordPiece, [PAD] 0). "
            f"Received: {', '.join(map(str, kinds))}. Use MiniLM-L6 or another BERT."
        )
