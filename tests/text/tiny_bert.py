"""Writes a BERT of 3,000 weights as a folder of Hugging Face files, for tests."""

import json
import pathlib
import struct

import numpy as np

WORDS = [
    *["what", "who", "where", "when", "is", "the", "of", "a", "in", "river", "lake"],
    *["tall", "high", "many", "how", "city", "animal", "dog", "cat", "paris"],
]
PIECES = [
    "##s",
    "##ing",
    "##ed",
    "un",
    "##known",
    "e",
    "##e",
    "##x",
    "?",
    ".",
    "!",
    "|",
    "中",
    "a",
    "##a",
    "b",
    "##b",
    "c",
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys([*WORDS, *PIECES, *map(chr, range(100, 123))])]
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 24,
    "vocab_size": len(VOCABULARY),
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def weights() -> dict[str, np.ndarray]:
    """Returns weights by the names of `BertModel`, drawn in the order of their names."""
    width, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), width),
        "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "embeddings.LayerNorm": (width,),
    }
    for number in range(CONFIG["num_hidden_layers"]):
        block = f"encoder.layer.{number}"
        shapes |= {f"{block}.attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        shapes |= {f"{block}.attention.output.dense": (width, width), f"{block}.attention.output.LayerNorm": (width,)}
        shapes |= {f"{block}.intermediate.dense": (inner, width), f"{block}.output.dense": (width, inner)}
        shapes |= {f"{block}.output.LayerNorm": (width,)}
    random = np.random.default_rng(0)
    found = {}
    for name, shape in sorted(shapes.items()):
        if name.endswith("embeddings.weight"):
            found[name] = random.normal(size=shape)
        else:
            found[f"{name}.weight"] = 0.3 * random.normal(size=shape) + name.endswith("LayerNorm")
            found[f"{name}.bias"] = 0.1 * random.normal(size=shape[:1])
    return {name: value.astype(np.float32) for name, value in found.items()}


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """Returns a file of the safetensors format."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        dtype = {"float32": "F32", "float16": "F16", "uint16": "BF16", "float64": "F64"}[value.dtype.name]
        header[name] = {"dtype": dtype, "shape": value.shape, "data_offsets": [len(body), len(body) + value.nbytes]}
        body += value.tobytes()
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + body


def tokenizer() -> dict:
    """Returns the content of `tokenizer.json`."""
    special = [
        {"id": number, "content": name, "special": True, "single_word": False}
        | {"lstrip": False, "rstrip": False, "normalized": False}
        for number, name in enumerate(VOCABULARY[:4])
    ]
    around = {name: {"id": name, "ids": [VOCABULARY.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    single = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
        | {"strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": around},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
        | {"max_input_chars_per_word": 100, "vocab": {piece: number for number, piece in enumerate(VOCABULARY)}},
    }


def write_tiny_bert(folder: pathlib.Path, **config) -> pathlib.Path:
    """Writes the files, with some values of `config.json` replaced, and returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "model.safetensors").write_bytes(safetensors(weights()))
    return folder
