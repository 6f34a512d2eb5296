"""Asks an exported model in a process of its own that imports the model's runtime and nothing of tl_keras or Keras.

A script, not a module of the library: `python answer_alone.py RUNTIME MODEL QUESTIONS_NPZ ANSWERS_NPY`, with RUNTIME
among saved_model, litert, onnx and openvino. `QUESTIONS_NPZ` holds arrays `image_0`, `image_1`, ...: for saved_model the
bytes of an image file, uint8 (length,), else pixels, float32 (height, width, 3). `ANSWERS_NPY` gets the probabilities,
float32 (n, classes).
"""

import sys

import numpy as np

sys.modules.update({"keras": None, "tl_keras": None})  # type: ignore[dict-item]  # importing what is None fails


def ask_saved_model(path: str, images: list[np.ndarray]) -> np.ndarray:
    """Asks TensorFlow, all images at once."""
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serving_default"]
    return serve(image_bytes=tf.constant([image.tobytes() for image in images]))["probabilities"].numpy()


def ask_litert(path: str, images: list[np.ndarray]) -> np.ndarray:
    """Asks LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner()
    return np.concatenate([runner(images=image[np.newaxis])["probabilities"] for image in images])


def ask_onnx(path: str, images: list[np.ndarray]) -> np.ndarray:
    """Asks ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": np.stack(images)})[0]


def ask_openvino(path: str, images: list[np.ndarray]) -> np.ndarray:
    """Asks OpenVINO, in float32: left to itself it takes bfloat16 where the processor has it."""
    import openvino

    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"images": np.stack(images)})["probabilities"]


RUNTIMES = {"saved_model": ask_saved_model, "litert": ask_litert, "onnx": ask_onnx, "openvino": ask_openvino}


def main(runtime: str, model: str, questions: str, answers: str) -> None:
    """Writes the probabilities that the model gives."""
    with np.load(questions) as archive:
        images = [archive[f"image_{i}"] for i in range(len(archive.files))]
    np.save(answers, RUNTIMES[runtime](model, images))


if __name__ == "__main__":
    main(*sys.argv[1:])
