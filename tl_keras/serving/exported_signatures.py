"""Answers the signatures of a SavedModel by another export of the same run, whose runtime computes faster on some processors."""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.console import first_line
from tl_keras.errors import BackboneError
from tl_keras.serving.export import newest_version
from tl_keras.serving.formats import FACTS, FORMATS
from tl_keras.tasks.base import Task
from tl_keras.untrusted import parse_json

_Signature = Callable[..., dict[str, Any]]
# From the network's input, float32 (n, height, width, 3), to its outputs by name; a function of one thread.
_Network = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def exported_signatures(
    runtime: str,
    folder: pathlib.Path,
    *,
    weights: str,
    views: str,
    preprocess: PreprocessSpec,
    task: Task,
    class_names: tuple[str, ...],
) -> dict[str, _Signature]:
    """Returns functions that take encoded images, `image_bytes`, string (n,), as the signatures of those names do.

    Images are decoded and resized by TensorFlow, in the operations of the SavedModel, and the network is computed in float32.

    Args:
      runtime: Name of the runtime in `NETWORKS`, and of its format.
      folder: Directory of version directories, of which the newest is taken.
      weights: SHA-256 of the weights of the SavedModel, which the export has to have.
      views: Views of an image over which the SavedModel averages its answers, as the export has to.
      preprocess: Preprocessing of the SavedModel.
      task: Task of the model.
      class_names: Names of the classes.

    Raises:
      BackboneError: There is no export, it is damaged, or it is of other weights or averages over other views.
    """
    expected = f"runtime: expected an export for {runtime} of the served weights in {folder}."
    averaged = "" if views == "none" else f" --test_time_augmentation={views}"
    remedy = f"Run: python -m tl_keras.export --workdir={folder.parent} --format={runtime}{averaged}"
    version = newest_version(folder)
    if version is None:
        raise BackboneError(f"{expected} Received: none. {remedy}")
    try:
        known = parse_json((version / FACTS).read_bytes())
        its_weights, its_views = known["weights_sha256"], known.get("test_time_augmentation", "none")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(f"{expected} Received: {version} ({type(error).__name__}). {remedy}") from error
    if its_weights != weights:
        raise BackboneError(f"{expected} Received: {version}, of other weights. {remedy}")
    if its_views != views:
        raise BackboneError(
            f"{expected} Received: {version}, whose test_time_augmentation is {its_views}; that of the SavedModel is {views}. "
            f"{remedy}"
        )
    try:
        network_of_a_thread = NETWORKS[runtime](version / FORMATS[runtime].file)
    except Exception as error:  # each runtime has its own types
        raise BackboneError(f"{expected} Received: {version} ({first_line(error)}). {remedy}") from error
    prepare = tf.function(preprocess.in_graph(), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    answers = tf.function(lambda outputs: task.answers(outputs, class_names), autograph=False, reduce_retracing=True)
    of_thread = threading.local()

    def answered(image_bytes: tf.Tensor) -> Mapping[str, np.ndarray]:
        if not hasattr(of_thread, "network"):  # two batches are under way at a time
            of_thread.network = network_of_a_thread()
        network: _Network = of_thread.network
        return network(prepare(image_bytes).numpy())

    def serving_default(image_bytes: tf.Tensor) -> dict[str, Any]:
        found = answered(image_bytes)
        return {**answers(tf.constant(found[task.output_name])), "outlier": found["outlier"]}

    def features(image_bytes: tf.Tensor) -> dict[str, Any]:
        return {"features": answered(image_bytes)["features"]}

    return {"serving_default": serving_default, "features": features}


def _openvino(file: pathlib.Path) -> Callable[[], _Network]:
    """Returns a function that makes a network for a thread; the threads share the weights."""
    import openvino

    compiled = openvino.compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def for_a_thread() -> _Network:
        request = compiled.create_infer_request()
        return lambda images: request.infer(images, share_outputs=False)

    return for_a_thread


def _litert(file: pathlib.Path) -> Callable[[], _Network]:
    """Returns a function that makes a network for a thread, each with its own interpreter of the same content."""
    from ai_edge_litert.interpreter import Interpreter

    content = file.read_bytes()
    Interpreter(model_content=content)  # raises a ValueError if it is damaged; a thread makes its own when it is asked

    def for_a_thread() -> _Network:
        runner = Interpreter(model_content=content, num_threads=os.cpu_count()).get_signature_runner()
        (takes,) = runner.get_input_details()
        return lambda images: runner(**{takes: images})

    return for_a_thread


NETWORKS: dict[str, Callable[[pathlib.Path], Callable[[], _Network]]] = {"openvino": _openvino, "litert": _litert}
