"""Reads a `.keras` file from any source, and refuses it before Keras reads it if it would do more than build a network."""

from __future__ import annotations

import json
import pathlib
import re
import zipfile
from typing import Any

import keras

from tl_keras.console import first_line
from tl_keras.errors import BackboneError
from tl_keras.untrusted import check_keras_archive, read_json_entry

# Modules that define the classes of networks. Before 3.11.3, Keras's safe mode let a file call functions of other modules, even the
# one that turns safe mode off (CVE-2025-9906).
_OF_NETWORKS = re.compile(
    r"keras(_hub\..+|(\.src)?\.(layers|models|ops|initializers|regularizers|constraints|activations|dtype_policies)(\..+)?)?"
)
# Parts of a compiled model nested in another model, which Keras compiles again.
_OF_COMPILING = re.compile(r"builtins|keras(\.src)?\.(optimizers|losses|metrics)(\..+)?")

# Layers that run code, or read files that a config names: up to 3.11, Keras's lookup layers read any file of the user into their
# vocabulary. An image network needs none of them.
_REFUSED_LAYERS = {
    "Lambda": "runs code that the file brings",
    "__lambda__": "runs code that the file brings",
    "TorchModuleWrapper": "runs code that the file brings",
    "TFSMLayer": "loads another model",
    "JaxLayer": "runs code that the file brings",
    "FlaxLayer": "runs code that the file brings",
    "StringLookup": "may read other files",
    "IntegerLookup": "may read other files",
    "IndexLookup": "may read other files",
    "TextVectorization": "may read other files",
}


def load_keras_file(path: pathlib.Path) -> keras.Model:
    """Loads a .keras file in Keras's safe mode, which runs no code from the file.

    Raises:
      BackboneError: The file is damaged, unpacks to more than it can hold, reads other files, or holds a Lambda, a class that Keras
        does not know, or a class that is not part of a network.
    """
    written_by = ""
    try:
        with zipfile.ZipFile(path) as archive:
            check_keras_archive(archive, bytes_on_disk=path.stat().st_size)
            written_by = str(read_json_entry(archive, "metadata.json").get("keras_version", ""))[:20]
            config = read_json_entry(archive, "config.json")
            require_network_alone(config)
        if '"keras_hub.' in json.dumps(config):
            from tl_keras.backbones.hub_layers import correct_layers

            correct_layers()
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, json, h5py and Keras each raise their own types
        other = (
            ""
            if written_by in ("", keras.__version__)
            else (f" The file was written by Keras {written_by}; this is Keras {keras.__version__}.")
        )
        raise BackboneError(
            f"model: expected a .keras file that Keras can load in safe mode. Received: {path} ({first_line(error)}).{other}"
        ) from error


def require_network_alone(config: Any, *, inside: bool = False) -> None:
    """Raises a ValueError if a config needs anything but the parts of networks.

    Args:
      config: The content of config.json, or a part of it.
      inside: Whether `config` is such a part.
    """
    if isinstance(config, dict):
        if "class_name" in config:
            _require_part_of_network(config, modules=(_OF_NETWORKS,))
        for name, value in config.items():
            if name != "compile_config":
                require_network_alone(value, inside=True)
            elif inside:  # the outermost build config is not loaded
                require_parts_of_compiling(value)
    elif isinstance(config, list):
        for value in config:
            require_network_alone(value, inside=True)


def require_parts_of_compiling(config: Any) -> None:
    """Raises a ValueError if a config needs anything but the parts of compiled networks, such as optimizers."""
    if isinstance(config, dict):
        if "class_name" in config:
            _require_part_of_network(config, modules=(_OF_NETWORKS, _OF_COMPILING))
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            require_parts_of_compiling(value)


def _require_part_of_network(config: dict[str, Any], *, modules: tuple[re.Pattern[str], ...]) -> None:
    module, name = config.get("module"), str(config["class_name"])
    if name in _REFUSED_LAYERS:
        raise ValueError(f"its layer {name} {_REFUSED_LAYERS[name]}, and safe mode runs and reads none")
    is_class = name[:1].isupper() or name.startswith("__") or name == "function"
    known = module is None or any(pattern.fullmatch(str(module)) for pattern in modules)
    if not (known and is_class):
        raise ValueError(f"it names {module}.{name}, which is no part of a network")
