"""The tokens of the graph are those of the `tokenizers` library."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf

from tests.text.tiny_bert import tokenizer
from tl_keras.text.tokenizing import TextPreprocess

pytest.importorskip("tokenizers")

ODD = {
    "nothing": "",
    "spaces": " \t\n \u3000\u00a0\u2028\u0085 ",
    "accents": "Ünïcödé naïve CAFÉ e\u0301 A\u030a \u1e9b\u0323 İstanbul ΣΑΣ ς ﬁ ǅ",
    "chinese": "中文字符 mixed英文 \U00020000\U0002f800 \u2f00",
    "emoji": "👍🏽 a 👩‍👩‍👧b",
    "control characters": "a\x00\x01\x7fb \u200b\u00ad c\ufeff\ufffd",
    "scripts": "한국어 العربية עברית हिन्दी ไทย",
    "punctuation": "don't $5.00 @user #tag |a|b «»“”—… ½ ² ™",
    "ten thousand characters": "what a city! " * 770,
    "a word of ten thousand characters": "a" * 10_000,
    "a word of a hundred": "a" * 100,
    "a word of a hundred and one": "a" * 101,
    "a word that no pieces make up": "cat unknownz cats",
    "names of special tokens": "[SEP] [CLS] [UNK] [PAD] ##s ##",
    "code points without characters": "a\ue000b \U0010fffda \ufdd0 \U000fffff",
    "not UTF-8": b"\xff\xfe cat \xc3\x28 \xed\xa0\x80 dog",
}


@pytest.fixture(scope="module")
def preprocess():
    return TextPreprocess(tokenizer=json.dumps(tokenizer()), max_tokens=16)


@pytest.fixture(scope="module")
def in_graph(preprocess):
    takes = [tf.TensorSpec((None,), tf.string)]
    return tf.function(preprocess.in_graph(), input_signature=takes, autograph=False)


def ids_of(in_graph, texts):
    """Returns the ids that the graph makes, padded as the library's are."""
    ids = in_graph(tf.constant(texts)).numpy()
    assert ids[:, -1].any()  # as short as the longest text
    return np.pad(ids, ((0, 0), (0, 16 - ids.shape[1])))


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_awkward_text(preprocess, in_graph, text):
    np.testing.assert_array_equal(ids_of(in_graph, [text]), preprocess.ids([text]))


def test_texts_together_are_as_alone(preprocess, in_graph):
    texts = list(ODD.values())
    np.testing.assert_array_equal(ids_of(in_graph, texts), preprocess.ids(texts))


def test_no_texts(in_graph):
    assert len(in_graph(tf.constant([], tf.string))) == 0


def test_code_points_between_letters_and_at_random(preprocess, in_graph):
    """All 1,114,112 were compared once, with MiniLM's tokenizer; here the first of them, and texts of any."""
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    dice = random.Random(0)
    texts = [f"a{chr(point)}a{chr(point)}B" for point in range(0x3000) if chr(point).isprintable()]
    few = [point for point in points if point < 0x3000 or dice.random() < 0.02]
    texts += ["".join(chr(dice.choice(few)) for _ in range(dice.randrange(12))) for _ in range(1500)]
    np.testing.assert_array_equal(ids_of(in_graph, texts), preprocess.ids(texts))
