"""(c) Images per second through a frozen network: the fastest forward pass against Keras, PyTorch and OpenVINO by hand.

The peers are no dependency of tl_keras: OpenVINO is measured where it is installed, PyTorch (with timm) where
`--torch_python` names an interpreter that has it. Keras is as its users have it: TensorFlow decides on oneDNN. The weights
are random, the numbers of operations the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable

from benchmarks.measuring import Options, Row, answer_requests, answering, interleave, per_second

# Keras's name, timm's name, image size.
_NETWORKS = (("MobileNetV2", "mobilenetv2_100", 224), ("ResNet50", "resnet50", 160))
_BATCH_SIZE = 32
_SECONDS = 3.0


def measure(options: Options) -> list[Row]:
    """Returns the ratios of images per second."""
    openvino, torch = importlib.util.find_spec("openvino") is not None, options.torch_python
    if not openvino:
        print("OpenVINO is not installed: its rows are left out. pip install 'tl_keras[openvino]'", file=sys.stderr)
    if not torch:
        print("no --torch_python: PyTorch's rows are left out", file=sys.stderr)
    rows = []
    for keras_name, timm_name, pixels in _NETWORKS:
        figures = _measure(keras_name, timm_name, pixels, openvino, torch, options.repetitions)
        name = f"{keras_name} {pixels} px:"
        rows.append(
            Row(f"{name} tf_graph, against Keras predict", figures["tf_graph"], figures["keras"], "images/s", 1.3)
        )
        best = "openvino" if openvino else "tf_graph"
        if openvino:
            by_hand = figures["openvino by hand"]
            rows.append(Row(f"{name} openvino, against OpenVINO by hand", figures[best], by_hand, "images/s", 0.95))
        for peer in (peer for peer in figures if peer.startswith("torch")):
            rows.append(Row(f"{name} {best}, against {peer}", figures[best], figures[peer], "images/s", 1.0))
    return rows


def _measure(
    keras_name: str, timm_name: str, pixels: int, openvino: bool, torch: str | None, repetitions: int
) -> dict[str, list[float]]:
    here = [sys.executable, "-m", __name__]
    commands = {
        "keras": [*here, "keras", keras_name, str(pixels)],
        "tf_graph": [*here, "tf_graph", keras_name, str(pixels)],
    }
    if openvino:
        commands["openvino"] = [*here, "openvino", keras_name, str(pixels)]
        commands["openvino by hand"] = [*here, "openvino_by_hand", keras_name, str(pixels)]
    if torch:
        for kind in ("float32", "float32-compiled", "bfloat16"):
            peer = [torch, "-m", "benchmarks.torch_peer", "forward", timm_name, str(pixels), str(_BATCH_SIZE), kind]
            commands[f"torch {kind}"] = peer
    with contextlib.ExitStack() as stack:
        measurements = {name: stack.enter_context(answering(command)) for name, command in commands.items()}
        return interleave(measurements, repetitions=repetitions)


def _network(name: str, pixels: int):
    """Returns Keras's architecture without its classifier, and a batch of images."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import numpy as np

    model = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(pixels, pixels, 3)
    )
    images = np.random.default_rng(0).uniform(-1, 1, (_BATCH_SIZE, pixels, pixels, 3)).astype(np.float32)
    return model, images


def _keras(kind: str, name: str, pixels: int) -> Callable[[], object]:
    model, images = _network(name, pixels)
    model.predict(images, batch_size=_BATCH_SIZE, verbose=0)
    return lambda: model.predict(images, batch_size=_BATCH_SIZE, verbose=0)


def _ours(engine: str, name: str, pixels: int) -> Callable[[], object]:
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    from tl_keras.training.forward import fastest_forward

    model, images = _network(name, pixels)
    forward = fastest_forward(model, [images], engine=engine, images=_BATCH_SIZE)
    forward.call([images])
    return lambda: forward.call([images])


def _openvino(kind: str, name: str, pixels: int) -> Callable[[], object]:
    """OpenVINO as its manual has it: the Keras model converted, a fixed shape, all cores on one request."""
    import openvino

    model, images = _network(name, pixels)
    converted = openvino.convert_model(model, input=[images.shape])
    compiled = openvino.compile_model(converted, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    compiled(images)
    return lambda: compiled(images)


if __name__ == "__main__":
    _kind, _name, _size = sys.argv[1:]
    batch = {"keras": _keras, "openvino_by_hand": _openvino}.get(_kind, _ours)(_kind, _name, int(_size))
    answer_requests(lambda: per_second(batch, amount=_BATCH_SIZE, seconds=_SECONDS))
