"""Tests of tl_keras.reporting.word_support: the support is the change of the evidence, and the pieces are the text."""

import keras
import numpy as np
import pytest

from tests.text.tiny_bert import write_tiny_bert
from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.reporting.word_support import support_of_tokens, support_of_words
from tl_keras.text.encoder import TOKEN_EMBEDDING

pytest.importorskip("tokenizers")

TEXTS = ["Where is the RIVER, exactly?", "a cat", "?!"]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    teacher = write_tiny_bert(tmp_path_factory.mktemp("teachers") / "bert")
    config = ModelConfig(backbone=str(teacher), method="feature_extraction", unfreeze="none", max_tokens=16)
    return build_student(choose_backbone(config), config, num_classes=2, seed=1)


def evidence(logits):
    return logits[:, 1]


def test_it_is_the_slope_along_the_vector_of_a_token(student):
    tokens = student.preprocess.ids(TEXTS[:1])
    support = support_of_tokens(student.model, tokens, evidence)
    embedding = student.backbone.get_layer(TOKEN_EMBEDDING)
    table, token = np.array(embedding.get_weights()[0]), int(tokens[0, 4])
    assert list(tokens[0]).count(token) == 1
    changed = []
    for factor in (1.01, 0.99):
        other = table.copy()
        other[token] *= factor
        embedding.set_weights([other])
        changed.append(float(evidence(keras.ops.convert_to_numpy(student.model(tokens)))[0]))
    embedding.set_weights([table])
    assert support[0, 4] == pytest.approx((changed[0] - changed[1]) / 0.02, rel=0.02)


def test_the_pieces_are_the_text_and_the_largest_support_is_one(student):
    for text, pieces in zip(TEXTS, support_of_words(student.model, student.preprocess, TEXTS, evidence), strict=True):
        assert "".join(piece for piece, _ in pieces) == text
        assert max(abs(value) for _, value in pieces) == pytest.approx(1.0)
        assert all(value == 0 for piece, value in pieces if not piece.strip())
