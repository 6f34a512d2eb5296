"""Lists the versions of the packages that decide the numbers of a run."""

from __future__ import annotations

import importlib.metadata
import platform

import keras
import numpy as np
import tensorflow as tf


def versions() -> dict[str, str]:
    """Returns the version of each package that decides the numbers of a run, by the package's name."""
    return {
        "tl_keras": importlib.metadata.version("tl_keras"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
