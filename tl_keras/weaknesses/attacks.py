"""Small changes to an image that change the answer, by someone who has the whole network.

The fast gradient sign method (Goodfellow, Shlens and Szegedy 2015, "Explaining and Harnessing Adversarial Examples") and projected
gradient descent (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks"), both with every pixel
allowed to change by so many grey levels of 255 (the L-infinity norm). Foolbox 3.3.4 makes the same images by the first and no
stronger ones by the second; these few lines, which mimicry shares, are no reason to depend on it.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

# 2.5 times the budget in all (Madry et al. 2018, section B): from anywhere every corner of what is allowed can be reached.
_PATH = 2.5

# From images, float32 (n, height, width, 3), 0 to 255, and int64 (n,) answers, to the network's answers, int64 (n,), and the slope
# at the images, float32 of their shape: along its sign the attack gets on fastest.
Slope = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def slope_of_loss(model: keras.Model) -> Slope:
    """Returns the slope of the cross-entropy of given answers, through the whole model, its normalisation included.

    Args:
      model: float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to float32 (batch, classes) logits.
    """

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape), tf.TensorSpec((None,), tf.int64)], autograph=False)
    def slope(images, answers):
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = model(images, training=False)
            # In float32 the loss of a sure answer is 0, and its slope with it.
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, tf.cast(logits, tf.float64))
            loss = tf.reduce_sum(losses)
        return tf.argmax(logits, axis=-1), tape.gradient(loss, images)

    return lambda images, answers: tuple(part.numpy() for part in slope(images, answers))


def fgsm(images: np.ndarray, slope: np.ndarray, *, strength: float) -> np.ndarray:
    """Takes one step of full strength along the sign of the slope.

    Args:
      images: float32 (n, height, width, 3), RGB, 0 to 255.
      slope: Of the loss at the images, of their shape.
      strength: The step, in grey levels of 255.

    Returns:
      Like the images.
    """
    return np.clip(images + np.float32(strength) * np.sign(slope), 0, 255)


def pgd(images: np.ndarray, answers: np.ndarray, slope: Slope, *, strength: float, steps: int, seed: int) -> np.ndarray:
    """Climbs the loss from a random place in what is allowed; an image is left alone once its answer has changed.

    Args:
      images: float32 (n, height, width, 3), RGB, 0 to 255.
      answers: int64 (n,), to get away from.
      slope: Of the loss.
      strength: By how much every pixel may change, in grey levels of 255.
      steps: The most that are taken.
      seed: Of the random places.

    Returns:
      Like the images.
    """
    random = np.random.default_rng(seed)
    moved = _within(images + random.uniform(-strength, strength, images.shape), images, strength)
    standing = np.arange(len(images))
    for _ in range(steps):
        given, upwards = slope(moved[standing], answers[standing])
        unchanged = given == answers[standing]
        standing, upwards = standing[unchanged], upwards[unchanged]
        if not len(standing):
            break
        moved[standing] = step(moved[standing], upwards, images[standing], strength=strength, steps=steps)
    return moved


def step(moved: np.ndarray, slope: np.ndarray, images: np.ndarray, *, strength: float, steps: int) -> np.ndarray:
    """Takes one of so many steps along the sign of a slope, and back to what is allowed around the images; all of one shape."""
    return _within(moved + np.float32(_PATH * strength / steps) * np.sign(slope), images, strength)


def _within(moved: np.ndarray, images: np.ndarray, strength: float) -> np.ndarray:
    near = np.clip(moved, images - np.float32(strength), images + np.float32(strength))
    return np.clip(near, 0, 255).astype(np.float32)
