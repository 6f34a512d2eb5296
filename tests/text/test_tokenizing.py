"""The `tokenizers` library makes the tokens of the pipeline."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.text.tiny_bert import VOCABULARY, tokenizer
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.text.tokenizing import TextPreprocess, count_tokens, library_tokenizer

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def preprocess():
    return TextPreprocess(tokenizer=json.dumps(tokenizer()), max_tokens=16)


def test_the_pipeline_takes_one_text_at_a_time(preprocess):
    ids = preprocess.evaluation_transform(tf.constant("What is a CAT?"))
    pieces = [VOCABULARY[number] for number in ids.numpy() if number]
    assert pieces == ["[CLS]", "what", "is", "a", "cat", "?", "[SEP]"]
    dataset = tf.data.Dataset.from_tensors("What is a CAT?").map(preprocess.evaluation_transform)
    np.testing.assert_array_equal(next(iter(dataset)), ids)
    assert dataset.element_spec.shape == preprocess.input_shape


def test_tokens_are_counted_before_they_are_cut(preprocess):
    assert count_tokens(preprocess.tokenizer, ["", "cat " * 100]).tolist() == [2, 102]


@pytest.mark.parametrize(("texts", "length"), [(["cat"], 8), (["cat " * 7], 16), (["", "cat " * 99], 16), ([""], 8)])
def test_a_batch_is_as_long_as_its_longest_text_needs(preprocess, texts, length):
    ids = preprocess.ids(texts)
    found = preprocess.without_padding(tf.constant(ids)).numpy()
    assert found.shape == (len(texts), length)
    np.testing.assert_array_equal(np.pad(found, ((0, 0), (0, 16 - length))), ids)


def test_what_is_written_is_read_again(preprocess):
    assert TextPreprocess.from_json(json.loads(json.dumps(preprocess.to_json()))) == preprocess


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "NFC"}},
        {"pre_tokenizer": None},
        {"model": {"type": "BPE", "vocab": {}}},
        {"model": {"type": "WordPiece", "vocab": {"[PAD]": 3}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_kind_of_tokenizer_is_refused(change):
    with pytest.raises(BackboneError, match=r"expected a tokenizer\.json of BERT's kind"):
        TextPreprocess.from_json({"tokenizer": json.dumps(tokenizer() | change), "max_tokens": 8})


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    library_tokenizer.cache_clear()
    with pytest.raises(DependencyError, match=r"pip install 'tl_keras\[text\]'"):
        library_tokenizer(json.dumps(tokenizer()))
