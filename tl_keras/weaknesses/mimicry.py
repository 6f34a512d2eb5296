"""Attacks with only the public teacher: makes an image whose features are those of another image.

Wang et al. 2018, "With Great Training Comes Great Vulnerability: Practical Attacks against Transfer Learning" (USENIX Security):
the student decides by the features of the teacher's frozen layers, so an image that looks like the source and has the target's
features at the cut gets the target's answer. The attack uses nothing of the student. The paper bounds the change by its
structural dissimilarity and descends with Adadelta for 2,000 steps; here every pixel may change by a number of grey levels, as
in the other attacks, and there are fewer steps, so this attacker is the weaker one.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tl_keras.weaknesses.attacks import step


class Mimic:
    """Changes images so that they have the features of others.

    Args:
      below: Model of the teacher up to the cut, from images, float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to its
        activations, a tensor or a list of them.
    """

    def __init__(self, below: keras.Model):
        activations = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in below.outputs]

        @tf.function(input_signature=[tf.TensorSpec(below.input_shape), activations], autograph=False)
        def slope(images: tf.Tensor, wanted: list[tf.Tensor]) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(images)
                given = tf.nest.flatten(below(images, training=False))
                closeness = -tf.add_n([tf.reduce_sum(tf.square(a - b)) for a, b in zip(given, wanted, strict=True)])
            return tape.gradient(closeness, images)

        self._below, self._slope = below, slope

    def __call__(self, images: np.ndarray, targets: np.ndarray, *, strength: float, steps: int) -> np.ndarray:
        """Descends the squared distance between the activations, starting from the images.

        Args:
          images: float32 (n, image_size, image_size, 3), RGB, 0 to 255.
          targets: Images of the same shape that each image is to be taken for.
          strength: Largest change of every pixel, in grey levels of 255.
          steps: Number of steps.

        Returns:
          Changed images, of the same shape and type.
        """
        wanted = tf.nest.flatten(self._below(targets, training=False))
        moved = images
        for _ in range(steps):
            slope = self._slope(moved, wanted).numpy()
            moved = step(moved, slope, images, strength=strength, steps=steps)
        return moved
