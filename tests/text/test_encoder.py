"""The encoder computes what the published implementation does, and is read from its files."""

import numpy as np
import pytest

from tests.text.tiny_bert import CONFIG, weights, write_tiny_bert
from tl_keras.backbones.keras_file import load_keras_file
from tl_keras.text.encoder import EncoderSpec, build_encoder, set_published_weights
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
