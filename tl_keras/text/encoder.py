"""Builds a BERT encoder from stock layers of Keras, and fills in published weights.

The network is that of Devlin et al. 2019, "BERT: Pre-training of deep bidirectional transformers", as Hugging Face's `BertModel`
computes it, with the pooling that sentence-transformers adds. Plain Keras loads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tl_keras.backbones.specs import BlockSpec

# Name of the layer whose outputs are the vectors of the tokens.
TOKEN_EMBEDDING = "token_embedding"

_PADDING = 0
_LEAST_TOKENS = 1e-9  # as sentence-transformers divides, where a text has no token


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """The shape of an encoder, as `config.json` of a Hugging Face folder gives it.

    Attributes:
      vocabulary: Number of tokens.
      width: Size of a token's vector.
      blocks: Number of transformer blocks.
      heads: Number of attention heads in each.
      inner_width: Size of the hidden layer in each.
      positions: Largest number of tokens of a text.
      activation: Activation of the hidden layer.
      epsilon: Epsilon of LayerNorm.
      dropout: Dropout while training, 0 to below 1.
      pooling: How a text's vector is made of its tokens' vectors: `mean` or `class_token`, the first one.
    """

    vocabulary: int
    width: int
    blocks: int
    heads: int
    inner_width: int
    positions: int
    activation: str = "gelu"
    epsilon: float = 1e-12
    dropout: float = 0.1
    pooling: str = "mean"

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, pooling: str) -> EncoderSpec:
        """Returns the spec that `config.json` describes.

        Raises:
          ValueError: It describes another kind of encoder.
        """
        kind, positions = config.get("model_type"), config.get("position_embedding_type", "absolute")
        if kind != "bert" or positions != "absolute" or config.get("hidden_act", "gelu") not in ("gelu", "relu"):
            raise ValueError(f"its model_type is {kind}, positions {positions}, activation {config.get('hidden_act')}")
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        missing = [name for name in (*sizes, "max_position_embeddings") if type(config.get(name)) is not int]
        if missing or config["hidden_size"] % config["num_attention_heads"]:
            raise ValueError(f"it lacks whole numbers that fit for {', '.join(missing) or 'num_attention_heads'}")
        return cls(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            blocks=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            inner_width=config["intermediate_size"],
            positions=config["max_position_embeddings"],
            activation=config.get("hidden_act", "gelu"),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            dropout=float(config.get("hidden_dropout_prob", 0.1)),
            pooling=pooling,
        )

    def block_specs(self) -> tuple[BlockSpec, ...]:
        """Returns the blocks at whose ends the network can be cut, from input to output."""
        ends = [f"block_{number}_output_norm" for number in range(1, self.blocks)]
        ends.append("sentence")
        names = [f"block {number}" for number in range(1, self.blocks + 1)]
        return (BlockSpec("embeddings", "embeddings_dropout"), *map(BlockSpec, names, ends))


def build_encoder(spec: EncoderSpec, *, tokens: int | None = None) -> keras.Model:
    """Builds an encoder with random weights.

    Args:
      spec: Its shape.
      tokens: Number of tokens of each text, padded; None for any.

    Returns:
      A model from token ids, int32 (batch, tokens), 0 for padding, to the vectors of the texts, float32 (batch, width).
    """
    ids = keras.Input((tokens,), dtype="int32", name="tokens")
    present = keras.ops.cast(keras.ops.not_equal(ids, _PADDING), "float32")
    x = _embeddings(ids, spec)
    for number in range(1, spec.blocks + 1):
        x = _block(x, present, f"block_{number}_", spec)
    if spec.pooling == "class_token":
        pooled = x[:, 0]
    else:
        weights = keras.ops.expand_dims(keras.ops.cast(present, x.dtype), -1)
        counts = keras.ops.maximum(keras.ops.sum(weights, axis=1), _LEAST_TOKENS)
        pooled = keras.ops.sum(x * weights, axis=1) / counts
    return keras.Model(ids, keras.layers.Activation("linear", name="sentence")(pooled), name="encoder")


def _embeddings(ids: keras.KerasTensor, spec: EncoderSpec) -> keras.KerasTensor:
    """Returns the tokens' vectors; those of the positions include that of the first segment, the only one of a single text."""
    positions = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    words = keras.layers.Embedding(spec.vocabulary, spec.width, name=TOKEN_EMBEDDING)(ids)
    places = keras.layers.Embedding(spec.positions, spec.width, name="position_embedding")(positions)
    x = keras.layers.Add(name="embeddings_add")([words, places])
    x = keras.layers.LayerNormalization(epsilon=spec.epsilon, name="embeddings_norm")(x)
    return keras.layers.Dropout(spec.dropout, name="embeddings_dropout")(x)


def _block(x: keras.KerasTensor, present: keras.KerasTensor, name: str, spec: EncoderSpec) -> keras.KerasTensor:
    """Returns the output of a transformer block, in which no token attends to padding."""
    attention = keras.layers.MultiHeadAttention(
        spec.heads, spec.width // spec.heads, dropout=spec.dropout, name=f"{name}attention"
    )
    mask = keras.ops.expand_dims(keras.ops.cast(present, "bool"), 1)
    attended = attention(x, x, attention_mask=mask)
    x = _added(x, attended, f"{name}attention", spec)
    inner = keras.layers.Dense(spec.inner_width, activation=spec.activation, name=f"{name}intermediate")(x)
    return _added(x, keras.layers.Dense(spec.width, name=f"{name}output")(inner), f"{name}output", spec)


def _added(x: keras.KerasTensor, change: keras.KerasTensor, name: str, spec: EncoderSpec) -> keras.KerasTensor:
    change = keras.layers.Dropout(spec.dropout, name=f"{name}_dropout")(change)
    x = keras.layers.Add(name=f"{name}_add")([x, change])
    return keras.layers.LayerNormalization(epsilon=spec.epsilon, name=f"{name}_norm")(x)


def set_published_weights(encoder: keras.Model, spec: EncoderSpec, tensors: Mapping[str, np.ndarray]) -> None:
    """Fills an encoder with the weights of Hugging Face's `BertModel`.

    Args:
      encoder: Network of `build_encoder`.
      spec: Its shape.
      tensors: Weights by their names, which may begin with `bert.`; the pooler and heads are left out.

    Raises:
      ValueError: A weight is missing, or has another shape.
    """
    known = {name.removeprefix("bert."): value for name, value in tensors.items()}
    known |= {name.replace(".gamma", ".weight").replace(".beta", ".bias"): known[name] for name in [*known]}

    def found(*names: str) -> list[np.ndarray]:
        if missing := [name for name in names if name not in known]:
            raise ValueError(f"it has no tensor {missing[0]}")
        return [known[name] for name in names]

    def dense(prefix: str, kernel: tuple[int, ...], bias: tuple[int, ...]) -> list[np.ndarray]:
        weight, constant = found(f"{prefix}.weight", f"{prefix}.bias")
        return [weight.T.reshape(kernel), constant.reshape(bias)]

    width, heads, inner = spec.width, spec.heads, spec.inner_width
    apart = (heads, width // heads)
    places, segments = found("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")
    values = {
        TOKEN_EMBEDDING: found("embeddings.word_embeddings.weight"),
        "position_embedding": [places + segments[0]],
        "embeddings_norm": found("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"),
    }
    for number in range(spec.blocks):
        theirs, ours = f"encoder.layer.{number}", f"block_{number + 1}_"
        attention = [
            each
            for part in ("query", "key", "value")
            for each in dense(f"{theirs}.attention.self.{part}", (width, *apart), apart)
        ]
        attention += dense(f"{theirs}.attention.output.dense", (*apart, width), (width,))
        values |= {
            f"{ours}attention": attention,
            f"{ours}attention_norm": found(*_norm(f"{theirs}.attention.output")),
            f"{ours}intermediate": dense(f"{theirs}.intermediate.dense", (width, inner), (inner,)),
            f"{ours}output": dense(f"{theirs}.output.dense", (inner, width), (width,)),
            f"{ours}output_norm": found(*_norm(f"{theirs}.output")),
        }
    for name, arrays in values.items():
        encoder.get_layer(name).set_weights(arrays)


def _norm(prefix: str) -> tuple[str, str]:
    return f"{prefix}.LayerNorm.weight", f"{prefix}.LayerNorm.bias"
