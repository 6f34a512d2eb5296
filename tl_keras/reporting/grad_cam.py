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
      float32 (n, height, width) of the feature map, 0 to 1; 0 everywhere if nothing supports the answer. Tokens of a transformer
      are no map: float32 (n, 1, 1).
    """
    pooling = model.get_layer(FEATURES_LAYER)
    if len(pooling.input.shape) != 4:
        return np.zeros((len(images), 1, 1), np.float32)
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

    gradients = _gradient(evidence_of, maps)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * maps).sum(axis=-1), 0)
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def _gradient(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Returns the gradient of a scalar function, computed by Keras's backend."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(at))
    import tensorflow as tf

    point = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return tape.gradient(value, point).numpy()
