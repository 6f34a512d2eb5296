"""Shows which words speak for an answer, by gradient times input (Shrikumar et al. 2017, "Not Just a Black Box")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.reporting.grad_cam import gradient
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.text.encoder import TOKEN_EMBEDDING
from tl_keras.text.tokenizing import TextPreprocess, library_tokenizer


def support_of_tokens(model: keras.Model, tokens: np.ndarray, evidence: Callable[[Any], Any]) -> np.ndarray:
    """Returns how strongly each token of some texts supports an answer.

    It is the product of the token's vector with the gradient of the evidence, such as the logit of a class: what the evidence
    would lose, to first order, if the vector were 0.

    Args:
      model: A student on an encoder of this project.
      tokens: int32 (n, tokens), 0 for padding.
      evidence: Function from logits, float32 (n, outputs), to the evidence for each text's answer, float32 (n,).

    Returns:
      float32 (n, tokens); above 0 speaks for the answer, below 0 against it.
    """
    encoder = model.get_layer("backbone")
    vectors = encoder.get_layer(TOKEN_EMBEDDING).output
    above = keras.Model([encoder.input, vectors], encoder.output)
    head = model.layers[model.layers.index(model.get_layer(FEATURES_LAYER)) :]

    read = keras.ops.convert_to_tensor(tokens)

    def evidence_of(embedded: Any) -> Any:
        outputs = above([read, embedded], training=False)
        for layer in head:
            outputs = layer(outputs, training=False) if isinstance(layer, keras.layers.Dropout) else layer(outputs)
        return keras.ops.sum(evidence(outputs))

    embedded = keras.ops.convert_to_numpy(encoder.get_layer(TOKEN_EMBEDDING)(read))
    return (gradient(evidence_of, embedded) * embedded).sum(axis=-1)


def support_of_words(
    model: keras.Model, preprocess: TextPreprocess, texts: Sequence[str], evidence: Callable[[Any], Any]
) -> list[list[tuple[str, float]]]:
    """Returns each text in pieces, its words and what is between them, with their support from -1 to 1, the largest being 1 or -1.

    Args:
      model: A student on an encoder of this project.
      preprocess: Tokenizing of its teacher.
      texts: Texts.
      evidence: See `support_of_tokens`.
    """
    support = support_of_tokens(model, preprocess.ids(texts), evidence)
    read = library_tokenizer(preprocess.tokenizer, preprocess.max_tokens).encode_batch(list(texts))
    found = []
    for text, encoding, values in zip(texts, read, support, strict=True):
        words: dict[int, list[Any]] = {}
        for word, (start, end), value in zip(encoding.word_ids, encoding.offsets, values.tolist(), strict=True):
            if word is not None:
                begun = words.setdefault(word, [start, end, 0.0])
                begun[1:] = [end, begun[2] + value]
        largest = max((abs(value) for _, _, value in words.values()), default=0.0) or 1.0
        pieces, at = [], 0
        for start, end, value in words.values():
            pieces += [(text[at:start], 0.0), (text[start:end], value / largest)]
            at = end
        found.append([piece for piece in [*pieces, (text[at:], 0.0)] if piece[0]])
    return found
