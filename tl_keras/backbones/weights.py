"""Pre-trained weights: from Keras's own cache, from the package, or from a file; each checked, none trusted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator

import keras
import numpy as np

from tl_keras.errors import BackboneError

_EMBEDDED = pathlib.Path(__file__).parent / "embedded"
FILE_SUFFIXES = (".weights.h5", ".h5", ".keras")


@contextlib.contextmanager
def explained_download() -> Iterator[None]:
    """Turns a failed download by Keras's loader into a BackboneError that says which file to put where."""
    try:
        yield
    except Exception as error:  # Keras raises a bare Exception where a download fails
        url = re.search(r"https?://\S+?(?=:?\s|$)", str(error))
        if url is None:
            raise
        home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
        file_name = url.group().rsplit("/", 1)[-1]
        raise BackboneError(
            f"weights: could not download {url.group()}. Put {file_name} into {home / 'models'}, or set KERAS_HOME to a folder "
            "with it in models/, or use --weights=embedded or a file."
        ) from error


def load_weights(backbone: keras.Model, weights: str) -> None:
    """Fills a backbone with pre-trained weights.

    Args:
      backbone: The network without its top.
      weights: `embedded`, or the path of a `.weights.h5`, `.h5` or `.keras` file; a `.keras` file may hold a student of
        ours, whose backbone is then taken.

    Raises:
      BackboneError: The file is damaged, or belongs to another architecture.
    """
    _load_file(backbone, _embedded_file() if weights == "embedded" else pathlib.Path(weights))


def check_weights_name(weights: str, known: tuple[str, ...]) -> None:
    """Raises a BackboneError unless `weights` names known weights or an existing file of a kind that is read."""
    if weights in (*known, "none"):
        return
    path = pathlib.Path(weights)
    if not path.name.endswith(FILE_SUFFIXES):
        raise BackboneError(
            f"weights: expected {', '.join(known)}, none, or a file ending in {', '.join(FILE_SUFFIXES)}. "
            f"Received: {weights}."
        )
    if not path.is_file():
        raise BackboneError(f"weights: expected an existing file. Received: {weights}, which is not there.")


def fingerprint(model: keras.Model) -> str:
    """Returns the SHA-256 over the values and shapes of all weights of a model, in their order, as 64 hex digits."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(str(value.shape).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _embedded_file() -> pathlib.Path:
    provenance = json.loads((_EMBEDDED / "provenance.json").read_text())
    path = _EMBEDDED / provenance["file"]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != provenance["sha256"]:
        raise BackboneError(
            f"weights: expected {path} with SHA-256 {provenance['sha256']}. Received: {found}. Install tl_keras again."
        )
    return path


def _load_file(backbone: keras.Model, path: pathlib.Path) -> None:
    before = fingerprint(backbone)
    try:
        if path.suffix == ".keras":
            backbone.set_weights(_backbone_of(path).get_weights())
        else:
            backbone.load_weights(path)
    except BackboneError:
        raise
    except Exception as error:  # h5py, zipfile and Keras each raise their own kinds for a damaged or foreign file
        raise BackboneError(
            f"weights: expected a file with the weights of {backbone.name} without its top. Received: {path}, which does "
            f"not fit ({_first_line(error)})."
        ) from error
    if fingerprint(backbone) == before:
        raise BackboneError(
            f"weights: expected a file with the weights of {backbone.name} without its top. Received: {path}, which holds "
            "none."
        )


def _backbone_of(path: pathlib.Path) -> keras.Model:
    """Loads a .keras file, in safe mode, and returns the backbone of a student of ours or the whole model."""
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    nested = [layer for layer in model.layers if layer.name == "backbone"]
    return nested[0] if nested else model


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
