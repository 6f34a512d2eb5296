"""Runs an exported model in a separate process that imports the model's runtime and nothing of tl_keras or Keras.

The script is `python runtime_check.py RUNTIME OUTPUT`, with RUNTIME one of saved_model, litert, onnx and openvino, and OUTPUT the
name of the output beside the logits. It imports the runtime, and then reads a JSON list from the standard input: the model, a file
of questions and one for answers. The first holds arrays `image_0`, `image_1`, ...: the bytes of an image file or of a text, uint8
(length,), for saved_model, otherwise pixels, float32 (height, width, 3), or token ids, int32 (tokens,). The script writes `logits`
and that output as `probabilities`, both float32 (n, outputs), to the second, and `milliseconds`, the median time of one image by
itself.
"""

import importlib
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Images and the names of outputs, at least these of which are returned.
Ask = Callable[[list[np.ndarray], tuple[str, ...]], dict[str, np.ndarray]]

_LOGITS = "logits"
_TIMED = 9


def open_saved_model(path: str) -> Any:
    """Returns `tf.saved_model.load(path)`, even if TensorFlow takes the path for a pattern that matches no file."""
    import tensorflow as tf

    if not set(path) & set("[]*?\\"):
        return tf.saved_model.load(path)
    with tempfile.TemporaryDirectory() as folder:
        link = pathlib.Path(folder, "model")
        link.symlink_to(pathlib.Path(path).resolve())
        return tf.saved_model.load(str(link))


def load_saved_model(path: str, output: str) -> Ask:
    """Loads a model into TensorFlow."""
    import tensorflow as tf

    signatures = open_saved_model(path).signatures  # kept in a variable, since the loaded model lives as long as it

    def ask(files: list[np.ndarray], names: tuple[str, ...]) -> dict[str, np.ndarray]:
        sent = tf.constant([file.tobytes() for file in files])
        served = {output: "serving_default", _LOGITS: "logits"}
        takes = next(iter(signatures["logits"].structured_input_signature[1]))  # image_bytes or text
        return {name: signatures[key](**{takes: sent})[name].numpy() for name, key in served.items() if name in names}

    return ask


def load_litert(path: str, output: str) -> Ask:
    """Loads a model into LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner()
    (takes,) = runner.get_input_details()  # images or tokens
    return lambda images, names: runner(**{takes: np.stack(images)})


def load_onnx(path: str, output: str) -> Ask:
    """Loads a model into ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0].name  # images or tokens
    return lambda images, names: dict(zip(names, session.run(names, {takes: np.stack(images)}), strict=True))


def load_openvino(path: str, output: str) -> Ask:
    """Loads a model into OpenVINO in float32; by default it takes bfloat16 if the processor supports it."""
    import openvino

    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def ask(images: list[np.ndarray], names: tuple[str, ...]) -> dict[str, np.ndarray]:
        answered = compiled(np.stack(images))
        return {name: answered[name] for name in names}

    return ask


def milliseconds(ask: Ask, image: np.ndarray, output: str) -> float:
    """Returns the median time in which one image by itself is answered, after a first that is not counted."""
    taken = []
    for _ in range(1 + _TIMED):
        began = time.perf_counter()
        ask([image], (output,))
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken[1:])


RUNTIMES: dict[str, Callable[[str, str], Ask]] = {
    "saved_model": load_saved_model,
    "litert": load_litert,
    "onnx": load_onnx,
    "openvino": load_openvino,
}
_MODULES = {
    "saved_model": "tensorflow",
    "litert": "ai_edge_litert.interpreter",
    "onnx": "onnxruntime",
    "openvino": "openvino",
}


def main(runtime: str, output: str) -> None:
    """Writes the logits of the model that is named on the standard input, and its output of that name as `probabilities`."""
    sys.modules.update({"keras": None, "tl_keras": None})  # type: ignore[dict-item]  # makes their import fail
    importlib.import_module(_MODULES[runtime])
    model, questions, answers = json.load(sys.stdin)
    with np.load(questions) as archive:
        images = [archive[f"image_{i}"] for i in range(len(archive.files))]
    ask = RUNTIMES[runtime](model, output)
    answered = ask(images, (_LOGITS, output))
    taken = milliseconds(ask, images[0], output)
    np.savez(answers, logits=answered[_LOGITS], probabilities=answered[output], milliseconds=taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
