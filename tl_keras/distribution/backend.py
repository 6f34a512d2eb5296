"""Which backend Keras runs on: decided by the strategy, before Keras is imported, and never changed after."""

from __future__ import annotations

import importlib.util
import os
import sys

from tl_keras.errors import ConfigError, DependencyError


def choose_backend(strategy: str) -> None:
    """Has Keras come up on the backend of a strategy, unless it is imported already.

    `auto` leaves the choice to KERAS_BACKEND and Keras's own file; every other strategy has one backend.

    Raises:
      DependencyError: JAX is not installed.
    """
    if strategy == "jax" and importlib.util.find_spec("jax") is None:
        raise DependencyError(
            "strategy: expected JAX. Received: no package of that name. Run: pip install 'tl_keras[jax]'  (on a TPU: "
            "tl_keras[jax-tpu]), or use another --strategy."
        )
    if strategy != "auto" and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend_of(strategy)


def backend_of(strategy: str) -> str:
    """Returns the name that Keras has for the backend of a strategy."""
    return "jax" if strategy == "jax" else "tensorflow"


def require_backend(strategy: str) -> str:
    """Returns the backend that Keras runs on.

    Raises:
      ConfigError: It is not one that the strategy can use.
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
