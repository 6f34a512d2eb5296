"""Shows where a student looks, by Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tl_keras.serving.student_statistics import FEATURES_LAYER

# Number of images at a time; the largest networks take 600 pixels.
_BATCH = 8


def grad_cam(model: keras.Model, images: np.ndarray, evidence: Callable[[Any], Any]) -> np.ndarray:
    """Returns how strongly each place of some images supports an answer.

    The maps are those that the backbone passes to the head. The weight of a channel is the mean over its places of the gradient
    of the evidence, such as the logit of a class (equation 1 of the paper); the weighted sum is cut off at 0 (equation 2) and
    divided by its maximum.

    Args:
      model: A student.
      images: float32 (n, image_size, image_size, 3), RGB, 0 to 255.
      evidence: Function from logits, float32 (n, outputs), to the evidence for each image's answer, float32 (n,), such as
        `tl_keras.Task.evidence`.

    Returns:
      float32 (n, height, width) of the feature map, 0 to 1; 0 everywhere if nothing supports the answer.
    """
    pooling = model.get_layer(FEATURES_LAYER)
    below = keras.Model(model.input, pooling.input)
    # Layer by layer, since tracing takes longer than it saves for a few images.
    batches = [below(images[start : start + _BATCH], training=False) for start in range(0, len(images), _BATCH)]
    maps = np.concatenate([keras.ops.convert_to_numpy(batch) for batch in batches])
    head = model.layers[model.layers.index(pooling) :]

    def evidence_of(maps: Any) -> Any:
        outputs = maps
        for layer in head:
            outputs = layer(outputs, training=False) if isinstance(layer, keras.layers.Dropout) else layer(outputs)
        return keras.ops.sum(evidence(outputs))

    weights = gradient(evidence_of, maps).mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * maps).sum(axis=-1), 0)
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def ends_in_a_map(model: keras.Model) -> bool:
    """Returns whether the backbone of a student passes maps to the head, and not the tokens of a transformer."""
    return len(model.get_layer(FEATURES_LAYER).input.shape) == 4


def gradient(function: Callable[[Any], Any], at: Any) -> Any:
    """Returns the gradient of a scalar function of an array, or of a list of arrays, computed by Keras's backend."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.tree.map(np.asarray, jax.grad(function)(at))
    import tensorflow as tf

    point = tf.nest.map_structure(tf.constant, at)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return tf.nest.map_structure(lambda part: part.numpy(), tape.gradient(value, point))
