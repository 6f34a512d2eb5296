"""(c) Images a second through a frozen network: our fastest forward pass against Keras, PyTorch and OpenVINO by hand.

```
python -m benchmarks.forward [--torch_python=/tmp/venv_torch/bin/python] [--repetitions=3]
```

The peers are no dependency of tl_keras: OpenVINO is measured where it is installed, PyTorch (with timm) where
`--torch_python` names an interpreter that has it. The weights are random, the numbers of operations the same.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable

from benchmarks.measuring import Row, answer_requests, answering, interleave, per_second, report

# Keras's name, timm's name, image size.
_NETWORKS = (("MobileNetV2", "mobilenetv2_100", 224), ("ResNet50", "resnet50", 160))
_BATCH_SIZE = 32
_SECONDS = 3.0


def main() -> None:
    """Measures and prints, or, as `--measure=KIND`, is one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch_python", help="an interpreter with torch and timm")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("benchmarks/results/forward.json"))
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "NETWORK", "PIXELS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        kind, network, pixels = arguments.measure
        batch = {"keras": _keras, "openvino_by_hand": _openvino}.get(kind, _ours)(kind, network, int(pixels))
        answer_requests(lambda: per_second(batch, amount=_BATCH_SIZE, seconds=_SECONDS))
        return

    openvino, torch = importlib.util.find_spec("openvino") is not None, arguments.torch_python
    if not openvino:
        print("OpenVINO is not installed: its rows are left out. pip install 'tl_keras[openvino]'", file=sys.stderr)
    if not torch:
        print("no --torch_python: PyTorch's rows are left out", file=sys.stderr)
    rows = []
    for keras_name, timm_name, pixels in _NETWORKS:
        figures = _measure(keras_name, timm_name, pixels, openvino, torch, arguments.repetitions)
        name = f"{keras_name} {pixels} px:"
        row = [Row(f"{name} tf_graph, against Keras predict", figures["tf_graph"], figures["keras"], "images/s", 1.3)]
        best = "openvino" if openvino else "tf_graph"
        if openvino:
            by_hand = figures["openvino by hand"]
            row.append(Row(f"{name} openvino, against OpenVINO by hand", figures[best], by_hand, "images/s", 0.9))
        for peer in (peer for peer in figures if peer.startswith("torch")):
            row.append(Row(f"{name} {best}, against {peer}", figures[best], figures[peer], "images/s", 1.0))
        rows += row
    report(rows, arguments.output, peers=[torch] if torch else [])


def _measure(
    keras_name: str, timm_name: str, pixels: int, openvino: bool, torch: str | None, repetitions: int
) -> dict[str, list[float]]:
    here = [sys.executable, "-m", __spec__.name, "--measure"]
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
    main()
