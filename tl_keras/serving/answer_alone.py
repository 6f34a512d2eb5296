"""Asks a SavedModel in a process of its own that imports TensorFlow and nothing of tl_keras or Keras.

A script, not a module of the library: `python answer_alone.py SAVED_MODEL IMAGES_NPZ ANSWERS_NPY`.
`IMAGES_NPZ` holds encoded images as uint8 arrays `image_0`, `image_1`, ...; `ANSWERS_NPY` gets float32 (n, classes).
"""

import sys

import numpy as np
import tensorflow as tf


def main(saved_model: str, images: str, answers: str) -> None:
    """Writes the probabilities that the SavedModel gives."""
    with np.load(images) as archive:
        encoded = [archive[f"image_{i}"].tobytes() for i in range(len(archive.files))]
    serve = tf.saved_model.load(saved_model).signatures["serving_default"]
    np.save(answers, serve(image_bytes=tf.constant(encoded))["probabilities"].numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
