"""The attack by someone who has the public teacher alone: an image whose features are those of another.

Wang et al. 2018, "With Great Training Comes Great Vulnerability: Practical Attacks against Transfer Learning" (USENIX Security):
the student answers by what the teacher's frozen layers give, so an image that looks like the source and has the features of a
target at the cut is answered as the target is. Nothing of the student is used. The paper bounds the change by its structural
dissimilarity and descends with Adadelta for 2,000 steps; here every pixel may change by so many grey levels, as in the other
attacks, and the steps are fewer: this attacker is the weaker one.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tl_keras.weaknesses.attacks import step


class Mimic:
    """Gives images the features of others.

    Args:
      below: The teacher up to the cut: images, float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to its activations, a
        tensor or a list of them.
    """

    def __init__(self, below: keras.Model):
        activations = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in below.outputs]

        @tf.function(input_signature=[tf.TensorSpec(below.input_shape), activations], autograph=False)
        def slope(images, wanted):
            with tf.GradientTape() as tape:
                tape.watch(images)
                given = tf.nest.flatten(below(images, training=False))
                closeness = -tf.add_n([tf.reduce_sum(tf.square(a - b)) for a, b in zip(given, wanted, strict=True)])
            return tape.gradient(closeness, images)

        self._below, self._slope = below, slope

    def __call__(self, images: np.ndarray, targets: np.ndarray, *, strength: float, steps: int) -> np.ndarray:
        """Descends the squared distance of the activations, from the images on.

        Args:
          images: float32 (n, image_size, image_size, 3), RGB, 0 to 255.
          targets: Of the same shape: what each is to be taken for.
          strength: By how much every pixel may change, in grey levels of 255.
          steps: That are taken.

        Returns:
          Like the images.
        """
        wanted = tf.nest.flatten(self._below(targets, training=False))
        moved = images
        for _ in range(steps):
            slope = self._slope(moved, wanted).numpy()
            moved = step(moved, slope, images, strength=strength, steps=steps)
        return moved
