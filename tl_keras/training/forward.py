"""Finds the fastest forward pass of a network with constant weights, by trying several engines.

| engine | description |
|---|---|
| `keras` | the model's own `predict_on_batch`: the reference, and the only one unless Keras runs on TensorFlow |
| `tf_graph` | one constant TensorFlow graph with folded normalisation; see `frozen_graph` |
| `tf_graph_bf16` | the same with convolutions in bfloat16, if the processor computes in it |
| `xla` | the graph of `tf_graph` compiled by XLA, for the GPU or TPU if there is one |
| `openvino` | the same graph compiled by OpenVINO, if it is installed |
| `openvino_bf16` | OpenVINO in bfloat16, if the processor computes in it |

An engine is used only after it has reproduced the model's numbers.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.console import first_line
from tl_keras.distribution.frozen_graph import frozen_graph
from tl_keras.errors import DependencyError, TrainingError
from tl_keras.files import replacing

# Largest difference of an activation, relative to the largest activation. Float32 engines differ by about 3e-7 on
# MobileNetV2 and ResNet50. bfloat16 keeps 8 bits, 4e-3, in each of tens of layers.
TOLERANCES = {
    "keras": 0.0,
    "tf_graph": 1e-4,
    "tf_graph_bf16": 5e-2,
    "xla": 1e-4,
    "openvino": 1e-4,
    "openvino_bf16": 5e-2,
}

ENGINES = tuple(TOLERANCES)

# Seconds of `tf_graph` within which no other engine is tried, because compiling for OpenVINO or XLA takes 2 to 8 seconds on two
# cores.
_SECONDS_WORTH_COMPARING = 20.0

# Seconds of measuring each engine after its first call.
_SECONDS_TO_MEASURE = 0.5

# Number of images for which calling Keras layer by layer, without tracing, takes less than a second.
_IMAGES_TO_COMPARE = 4

_Call = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Forward:
    """The chosen forward pass.

    Attributes:
      engine: Name from `ENGINES`.
      reason: Reason for the choice, in a line.
      call: Function from one array for each input of the model, (batch, ...) of any batch size, to one array per output.
    """

    engine: str
    reason: str
    call: _Call


def fastest_forward(
    model: keras.Model,
    example: Sequence[np.ndarray],
    *,
    engine: str = "auto",
    images: int,
    memory: pathlib.Path | None = None,
) -> Forward:
    """Chooses the engine for a network in inference mode.

    Args:
      model: Built functional model. Later changes of its weights may be ignored.
      example: Batch of real inputs, one array for each input, with the batch size that will be used.
      engine: Name from `ENGINES`, or "auto" for the fastest available engine that agrees with Keras on `example`.
      images: Number of images to compute. If `tf_graph` needs at most 20 seconds for them, "auto" tries no other engine.
      memory: JSON file in which "auto" keeps its measurements, by machine, architecture, shapes and versions.

    Raises:
      DependencyError: `engine` needs a package, a processor or a backend that is missing.
      TrainingError: `engine` cannot run this model, or its numbers differ from Keras's.
    """
    candidates = _Candidates(model, example)
    if engine != "auto":
        if lack := lacking(engine):
            raise DependencyError(
                f"inference_engine: expected what {engine} needs. Received: no {lack}. Use auto, which takes the fastest there is."
            )
        call, difference = candidates.proven(engine)
        return Forward(engine, f"{engine} was asked for; {_agreement(difference)}", call)

    # bfloat16 changes the numbers, which runs share, so it is never chosen automatically. On a CPU, XLA computes
    # MobileNetV2 at a thirtieth of tf_graph's speed.
    others = [name for name in (("xla", "openvino") if _accelerator() else ("openvino",)) if not lacking(name)]
    if lack := lacking("tf_graph"):
        return Forward("keras", f"keras: no {lack}", candidates.call("keras"))
    key = _key(model, example)
    remembered = _recall(memory, key)
    try:
        if remembered in others:
            call, difference = candidates.proven(remembered)
            return Forward(remembered, f"{remembered} was fastest here before; {_agreement(difference)}", call)
        call, difference = candidates.proven("tf_graph")
    except TrainingError as error:
        return Forward("keras", f"keras: {error}", candidates.call("keras"))
    if remembered == "tf_graph" or not others:
        why = "was fastest here before" if others else "is the only engine here; tl_keras[openvino] may be faster"
        return Forward("tf_graph", f"tf_graph {why}; {_agreement(difference)}", call)
    seconds = images / _images_per_second(call, example)
    if seconds < _SECONDS_WORTH_COMPARING:
        reason = f"tf_graph takes {seconds:.0f} s for {images} images, no other was tried; {_agreement(difference)}"
        return Forward("tf_graph", reason, call)
    forward = _fastest(candidates, {"tf_graph": (call, difference)}, others)
    _remember(memory, key, forward.engine)
    return forward


def lacking(engine: str) -> str:
    """Returns what `engine` needs and this machine lacks, or an empty string."""
    if engine == "keras":
        return ""
    if keras.backend.backend() != "tensorflow":
        return f"Keras on TensorFlow, but on {keras.backend.backend()}"
    if engine.endswith("_bf16") and not _computes_in_bfloat16():
        return "processor with AMX or AVX512-BF16"
    if engine.startswith("openvino") and importlib.util.find_spec("openvino") is None:
        return "OpenVINO (pip install 'tl_keras[openvino]')"
    return ""


class _Candidates:
    """Makes the engines' calls for one model, which is traced once, and compares them with Keras."""

    def __init__(self, model: keras.Model, example: Sequence[np.ndarray]) -> None:
        self._model, self.example = model, example

    def call(self, engine: str) -> _Call:
        if engine == "keras":
            return self._keras
        if engine == "tf_graph":
            return self._tf_graph
        if engine == "tf_graph_bf16":
            return self._tf_graph_bf16
        if engine == "xla":
            return _xla(self._graph, len(self.example[0]))
        return _openvino(self._graph, "bf16" if engine == "openvino_bf16" else "f32")

    def proven(self, engine: str) -> tuple[_Call, float]:
        """Returns the call and its largest difference from Keras, relative to the largest activation."""
        try:
            call = self.call(engine)
            given = call([array[:_IMAGES_TO_COMPARE] for array in self.example])
        except Exception as error:  # engines raise errors of any type on a model that they cannot run
            raise TrainingError(
                f"inference_engine: expected {engine} to run the model. Received: {first_line(error)}. Use auto."
            ) from error
        difference = max(
            float(np.abs(array - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
            for array, expected in zip(given, self._reference, strict=True)
        )
        if not difference <= TOLERANCES[engine]:
            raise TrainingError(
                f"inference_engine: expected Keras's activations from {engine}, to {TOLERANCES[engine]:g} of the largest. "
                f"Received: a difference of {difference:.1g}. Use keras."
            )
        return call, difference

    @functools.cached_property
    def _graph(self) -> Any:
        return frozen_graph(self._model)

    @functools.cached_property
    def _reference(self) -> list[np.ndarray]:
        inputs = [keras.ops.convert_to_tensor(array[:_IMAGES_TO_COMPARE]) for array in self.example]
        outputs = self._model(keras.tree.pack_sequence_as(self._model.input, inputs), training=False)
        return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]

    def _keras(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        outputs = self._model.predict_on_batch(keras.tree.pack_sequence_as(self._model.input, list(arrays)))
        return keras.tree.flatten(outputs)

    def _tf_graph(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [output.numpy() for output in self._graph(*map(tf.constant, arrays))]

    def _tf_graph_bf16(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        # TensorFlow compiles a function for each set of options and keeps it; the option is on during these calls only.
        before = tf.config.optimizer.get_experimental_options()
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
        try:
            return self._tf_graph(arrays)
        finally:
            tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False, **before})


def _xla(graph: Any, batch_size: int) -> _Call:
    compiled = tf.function(graph, jit_compile=True, autograph=False)

    def call(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        # XLA compiles for each batch size, which takes seconds, so a short batch is padded with zeros.
        nonlocal batch_size
        images = len(arrays[0])
        batch_size = max(batch_size, images)
        filled = [np.pad(array, [(0, batch_size - images)] + [(0, 0)] * (array.ndim - 1)) for array in arrays]
        with tf.device(_accelerator()):
            return [output.numpy()[:images] for output in compiled(*map(tf.constant, filled))]

    return call


def _openvino(graph: Any, precision: str) -> _Call:
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.compile_model(openvino.convert_model(graph), "CPU", options)

    def call(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(compiled(list(arrays)).values())

    return call


def _fastest(candidates: _Candidates, proven: dict[str, tuple[_Call, float]], others: Sequence[str]) -> Forward:
    """Measures the proven engines and those of the others that agree with Keras."""
    remarks = []
    for name in others:
        try:
            proven[name] = candidates.proven(name)
        except TrainingError as error:
            remarks.append(f"{name} was left out: {error}")
    speeds = {name: _images_per_second(call, candidates.example) for name, (call, _) in proven.items()}
    first, *rest = sorted(speeds, key=speeds.__getitem__, reverse=True)
    call, difference = proven[first]
    against = ", ".join(f"{name} {speeds[name]:.0f}" for name in rest)
    measured = f"{first}: {speeds[first]:.0f} images/s" + (f", against {against}" if against else "")
    return Forward(first, "; ".join([measured, _agreement(difference), *remarks]), call)


def _images_per_second(call: _Call, example: Sequence[np.ndarray]) -> float:
    call(example)  # some engines compile for each batch size
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS_TO_MEASURE:
        call(example)
        calls += 1
    return calls * len(example[0]) / elapsed


def _agreement(difference: float) -> str:
    return f"largest relative difference {difference:.0e}"


def _accelerator() -> str | None:
    """Returns the TPU or GPU that TensorFlow sees, if any."""
    for kind in ("TPU", "GPU"):
        if tf.config.get_visible_devices(kind):
            return f"{kind}:0"
    return None


def _computes_in_bfloat16() -> bool:
    """Returns whether the processor multiplies in bfloat16; without that, bfloat16 is slower than float32."""
    return any(flag in _cpu_info() for flag in ("amx_bf16", "avx512_bf16"))


@functools.cache
def _cpu_info() -> str:
    """Returns the first processor's entry, or an empty string if the system is not Linux."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return ""


def _key(model: keras.Model, example: Sequence[np.ndarray]) -> str:
    """Returns a hash of everything that decides which engine is fastest; names and values of weights do not."""
    engines = [engine for engine in ENGINES if not lacking(engine)]
    processor = [line for line in _cpu_info().splitlines() if line.startswith(("model name", "flags"))]
    layers = [type(layer).__name__ for layer in model.layers]
    weights = [tuple(weight.shape) for weight in model.weights]
    devices = [device.device_type for device in tf.config.get_visible_devices()]
    facts = [
        keras.__version__,
        tf.__version__,
        engines,
        processor,
        os.cpu_count(),
        devices,
        layers,
        weights,
        [array.shape for array in example],
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _recall(memory: pathlib.Path | None, key: str) -> str:
    """Returns the engine that was fastest, or an empty string."""
    return "" if memory is None else _read(memory).get(key, "")


def _remember(memory: pathlib.Path | None, key: str, engine: str) -> None:
    if memory is not None:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with replacing(memory) as temporary:
            temporary.write_text(json.dumps({**_read(memory), key: engine}, indent=1), encoding="utf-8")


def _read(memory: pathlib.Path) -> dict[str, str]:
    try:
        return json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a new measurement replaces the file
