"""Starts the TPU in a separate process: `python tpu_alone.py` prints one line of JSON, and imports nothing of tl_keras.

The line has `cores` and `description`, or `failure` (a key of `tpu_probe`) and `detail`.
"""

import importlib.metadata
import json
import os
from typing import Any


def answer() -> dict[str, Any]:
    """Returns the content of the line."""
    installed = {(each.metadata["Name"] or "").lower() for each in importlib.metadata.distributions()}
    others = sorted(installed & {"tensorflow", "tensorflow-cpu"})
    if "tensorflow-tpu" in installed and others:
        return {"failure": "both", "detail": f"{', '.join(others)} is installed too"}
    try:
        import tensorflow as tf
    except ImportError as error:
        return {"failure": "no_tensorflow", "detail": _first_line(error)}
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        cores = len(tf.config.list_logical_devices("TPU"))
    except Exception as error:  # TensorFlow's own types, and the resolver's ValueError and RuntimeError
        lacks_kernels = "ConfigureDistributedTPU" in str(error) and "OpKernel" in str(error)
        return {"failure": "no_support" if lacks_kernels else "no_tpu", "detail": _first_line(error)}
    if not cores:
        return {"failure": "no_tpu", "detail": "TensorFlow lists none"}
    return {"cores": cores, "description": f"{cores} cores of {os.environ.get('TPU_ACCELERATOR_TYPE', 'a TPU')}"}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(json.dumps(answer()))
