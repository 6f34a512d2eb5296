"""Tests of tl_keras.weaknesses.text_measurement on a small encoder with random weights."""

import numpy as np
import pytest

from tests.text.tiny_bert import write_tiny_bert
from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import DataError
from tl_keras.weaknesses.table import as_text
from tl_keras.weaknesses.text_measurement import audit_texts

pytest.importorskip("tokenizers")

TEXTS = [f"Where is the {word} of {place}?" for word in ("river", "city", "animal", "lake") for place in ("Paris", "A")]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    teacher = write_tiny_bert(tmp_path_factory.mktemp("teachers") / "bert")
    config = ModelConfig(backbone=str(teacher), method="feature_extraction", unfreeze="none", max_tokens=16)
    return build_student(choose_backbone(config), config, num_classes=2, seed=1)


def audited(student, texts):
    labels = student.model.predict(student.preprocess.ids(texts), verbose=0).argmax(axis=-1)
    return audit_texts(student.model, student.preprocess, texts, labels, split="test", seed=0)


def test_only_what_the_tokenizer_sees_can_change_an_answer(student):
    audit = audited(student, TEXTS)
    of = {(row.name, row.strength): row for row in audit.conditions}
    assert (audit.accuracy, audit.noun, audit.images, audit.mimicry) == (1.0, "text", len(TEXTS), ())
    # The tokenizer makes small letters of all: case changes no answer.
    assert of["small letters only", 1].accuracy == of["capitals only", 1].accuracy == 1.0
    assert of["negation", 1].kind == "meaning"
    assert all(row.accuracy == row.unchanged for row in audit.conditions)
    assert [strength for name, strength in of if name == "letters exchanged"] == [0.1, 0.2, 0.4, 0.7, 1.0]
    assert "8 test texts" in as_text(audit.to_json()) and "image" not in as_text(audit.to_json())


def test_texts_that_no_rule_changes_are_one_line(student):
    with pytest.raises(DataError, match="expected texts with Latin letters"):
        audited(student, ["中", "12"])


def test_the_same_seed_gives_the_same_audit(student):
    one, other = (audited(student, TEXTS).to_json() for _ in range(2))
    assert {**one, "seconds": 0} == {**other, "seconds": 0} and np.isfinite(one["seconds"])
