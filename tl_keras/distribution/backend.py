"""Chooses the backend of Keras by the strategy, before Keras is imported; it never changes afterwards."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import sys
from typing import Any

from tl_keras.errors import ConfigError, DependencyError
from tl_keras.user_folders import keras_home

_BACKENDS = ("tensorflow", "jax")
_KNOWN = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}


def choose_backend(strategy: str) -> None:
    """Makes Keras start on the backend of a strategy, unless Keras is imported already.

    `auto` leaves the choice to KERAS_BACKEND and keras.json; every other strategy has one backend.

    Raises:
      ConfigError: keras.json cannot be used.
      DependencyError: The package of the backend is not installed.
    """
    if strategy == "jax" and importlib.util.find_spec("jax") is None:
        raise DependencyError(
            "strategy: expected JAX. Received: no package of that name. Run: pip install 'tl_keras[jax]'  (on a TPU: "
            "tl_keras[jax-tpu]), or use another --strategy."
        )
    if "keras" in sys.modules:
        return
    if strategy != "auto":
        os.environ["KERAS_BACKEND"] = backend_of(strategy)
    _check_settings()


def _check_settings() -> None:
    """Raises an error if importing Keras would fail because of KERAS_BACKEND or keras.json."""
    path = keras_home() / "keras.json"
    settings = _read_settings(path)
    for field, known in _KNOWN.items():
        if field in settings and settings[field] not in known:
            raise ConfigError(
                f"keras.json: expected {field} to be one of {', '.join(known)}. Received: {json.dumps(settings[field])} in {path}. "
                "Correct the file, or remove it: Keras has defaults."
            )
    chosen = os.environ.get("KERAS_BACKEND")
    backend, place = (chosen, "KERAS_BACKEND") if chosen else (settings.get("backend", "tensorflow"), str(path))
    if backend not in _BACKENDS:
        raise DependencyError(
            f"backend: expected {' or '.join(_BACKENDS)}. Received: {backend}, which {place} names. Set KERAS_BACKEND=tensorflow."
        )
    if backend == "jax" and importlib.util.find_spec("jax") is None:
        raise DependencyError(
            f"backend: expected an installed package. Received: jax, which {place} names and which is not installed. Set "
            "KERAS_BACKEND=tensorflow, or run: pip install 'tl_keras[jax]'"
        )


def _read_settings(path: pathlib.Path) -> dict[str, Any]:
    """Returns the settings in keras.json; empty if the file is missing or is not JSON."""
    if not os.access(path, os.F_OK):  # which raises no error in a home that this user may not search
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"keras.json: expected a file that can be read. Received: {path} ({error.strerror}). Remove it, or set KERAS_HOME to "
            "another folder."
        ) from error
    if not isinstance(settings, dict):
        raise ConfigError(
            f"keras.json: expected a JSON object. Received: another value in {path}. Remove it: Keras has defaults."
        )
    return settings


def backend_of(strategy: str) -> str:
    """Returns Keras's name for the backend of a strategy."""
    return "jax" if strategy == "jax" else "tensorflow"


def require_backend(strategy: str) -> str:
    """Returns the backend that Keras runs on.

    Raises:
      ConfigError: The strategy cannot use that backend.
    """
    import keras

    found = keras.backend.backend()
    expected = ("tensorflow", "jax") if strategy == "auto" else (backend_of(strategy),)
    if found not in expected:
        raise ConfigError(
            f"strategy: {strategy} needs Keras on {' or '.join(expected)}. Received: Keras on {found}, which cannot be changed "
            f"once it is imported. Set KERAS_BACKEND={expected[0]} before."
        )
    return found
