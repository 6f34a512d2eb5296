"""Images per second on a GPU: our networks and optimizer against plain Keras, in eight minutes.

    python -m benchmarks.gpu                              on the engine that is installed: JAX if there is, else TensorFlow
    python -m benchmarks.gpu --engine=tensorflow --networks=MobileNetV2 --batch_size=64 --minutes=8

It needs the repository and a Python with Keras and JAX or TensorFlow, no weights and no data: batches are random and stay on the
card, so that reading images is not measured. Each row is the better of two halves of a few seconds. `plain` is `keras.applications`
with Adam; `ours` is the network of this project's builder with its optimizer, and for frozen extraction on TensorFlow its constant
graph. What does not fit into the time or the memory is named.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

_NETWORKS = ("MobileNetV2", "ResNet50", "EfficientNetV2S")
_CLASSES = 10
_SECONDS = 3.0


def main() -> None:
    """Prints the machine, and a table of a row for each network, precision and kind of step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["jax", "tensorflow"])
    parser.add_argument("--networks", nargs="+", default=_NETWORKS, choices=_NETWORKS)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of measuring each figure")
    parser.add_argument("--minutes", type=float, default=8.0)
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    os.environ["KERAS_BACKEND"] = options.engine or ("jax" if importlib.util.find_spec("jax") else "tensorflow")
    import keras

    print(
        f"{keras.backend.backend()}, Keras {keras.__version__}, {_devices()}; {options.pixels} px, batches of {options.batch_size}"
    )
    print("| network | precision | step | plain, images/s | ours, images/s | ours / plain |\n|---|---|---|---|---|---|")
    for network in options.networks:
        for precision in options.precisions:
            for step, makers in _STEPS.items():
                cells = [_measured(make, network, precision, options, deadline) for make in makers]
                ratio = f"{cells[1] / cells[0]:.2f}" if all(isinstance(cell, float) for cell in cells) else "-"
                shown = [f"{cell:,.0f}" if isinstance(cell, float) else cell for cell in cells]
                print(f"| {network} | {precision} | {step} | {shown[0]} | {shown[1]} | {ratio} |", flush=True)


def _devices() -> str:
    """Returns the devices of the engine, in words."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return ", ".join(f"{device.platform} {device.device_kind}" for device in jax.devices())
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return (
        ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus) or "no GPU"
    )


def _measured(
    make: Callable[[str, str, int], tuple[Callable[[Any, Any], Any], Any]],
    network: str,
    precision: str,
    options: argparse.Namespace,
    deadline: float,
) -> Any:
    """Returns images per second, a float, or in words why there are none."""
    import keras
    import numpy as np

    if time.monotonic() > deadline:
        return "no time left"
    keras.utils.clear_session()
    random, size = np.random.default_rng(0), options.batch_size
    try:
        call, policy = make(network, precision, options.pixels)
        images = keras.ops.convert_to_tensor(
            random.uniform(0, 255, (size, options.pixels, options.pixels, 3)).astype("float32")
        )
        labels = keras.ops.convert_to_tensor(keras.utils.to_categorical(np.arange(size) % _CLASSES, _CLASSES))
        with policy:
            for _ in range(3):  # traces and compiles
                _wait(call(images, labels))
            return max(_rate(call, images, labels, options.seconds / 2) for _ in range(2))
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower():
            return "out of memory"
        raise


def _rate(call: Callable[[Any, Any], Any], images: Any, labels: Any, seconds: float) -> float:
    began, calls, result = time.perf_counter(), 0, None
    while time.perf_counter() - began < seconds:
        result = call(images, labels)
        calls += 1
    _wait(result)
    return calls * len(images) / (time.perf_counter() - began)


def _wait(result: Any) -> None:
    """Waits until a result is computed: engines return before."""
    import keras
    import numpy as np

    for each in result.values() if isinstance(result, dict) else [result]:
        np.asarray(keras.ops.convert_to_numpy(each))


def _plain(network: str, precision: str, pixels: int) -> tuple[Any, Any]:
    """Returns a network of keras.applications without top, and its input, under a dtype policy."""
    import keras

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    try:
        constructor = getattr(keras.applications, network)
        backbone = constructor(include_top=False, weights=None, input_shape=(pixels, pixels, 3), pooling="avg")
        logits = keras.layers.Dense(_CLASSES, dtype="float32")(backbone.output)
        return backbone, keras.Model(backbone.input, logits)
    finally:
        keras.config.set_dtype_policy("float32")


def _ours(network: str, precision: str, pixels: int) -> tuple[Any, Any, Any]:
    """Returns our backbone and student, and the context in which they compute in a precision."""
    import keras

    from tl_keras.builder import build_backbone, choose_backbone
    from tl_keras.config import TransferConfig
    from tl_keras.distribution.precision import computing_in, dtype_policy
    from tl_keras.heads import apply_head

    config = TransferConfig().model
    config.backbone, config.weights, config.method, config.image_size = network, "none", "replicate", pixels
    backbone = build_backbone(choose_backbone(config))
    logits = apply_head(backbone.output, head="linear", num_classes=_CLASSES, head_units=0, dropout=0.0)
    student = keras.Model(backbone.input, logits)
    return backbone, student, computing_in(dtype_policy(precision, "gpu"), backbone)


def _compiled(model: Any, optimizer: Any) -> Callable[[Any, Any], Any]:
    import keras

    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
    return lambda images, labels: model.train_on_batch(images, labels)


def _plain_extraction(network: str, precision: str, pixels: int) -> tuple[Callable[[Any, Any], Any], Any]:
    import contextlib

    backbone, _ = _plain(network, precision, pixels)
    return lambda images, labels: backbone.predict_on_batch(images), contextlib.nullcontext()


def _our_extraction(network: str, precision: str, pixels: int) -> tuple[Callable[[Any, Any], Any], Any]:
    import keras

    backbone, student, policy = _ours(network, precision, pixels)
    features = keras.Model(backbone.input, student.layers[-2].output)
    if keras.backend.backend() == "tensorflow" and precision == "float32":
        from tl_keras.distribution.frozen_graph import frozen_graph

        graph = frozen_graph(features)
        return lambda images, labels: graph(images)[0], policy
    return lambda images, labels: features.predict_on_batch(images), policy


def _plain_fine_tuning(network: str, precision: str, pixels: int) -> tuple[Callable[[Any, Any], Any], Any]:
    import contextlib

    import keras

    _, model = _plain(network, precision, pixels)
    return _compiled(model, keras.optimizers.Adam(1e-4)), contextlib.nullcontext()


def _our_fine_tuning(network: str, precision: str, pixels: int) -> tuple[Callable[[Any, Any], Any], Any]:
    from tl_keras.training.optimizers import TransferAdam, VariableTreatment

    _, student, policy = _ours(network, precision, pixels)
    optimizer = TransferAdam([VariableTreatment()] * len(student.trainable_variables))
    optimizer.build(student.trainable_variables)
    optimizer.begin(learning_rate=1e-4, steps=1000, warmup_fraction=0.1)
    return _compiled(student, optimizer), policy


_STEPS = {
    "frozen extraction": (_plain_extraction, _our_extraction),
    "full fine-tuning": (_plain_fine_tuning, _our_fine_tuning),
}

if __name__ == "__main__":
    main()
