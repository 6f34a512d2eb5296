"""Changes images slightly so that the answer changes, as an attacker with the whole network can.

The attacks are the fast gradient sign method (Goodfellow, Shlens and Szegedy 2015, "Explaining and Harnessing Adversarial
Examples") and projected gradient descent (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks").
Both may change every pixel by a given number of grey levels of 255 (the L-infinity norm). Foolbox 3.3.4 makes the same images
by the first and no stronger ones by the second; these few lines, shared with mimicry, do not justify the dependency.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

# 2.5 times the budget in total (Madry et al. 2018, section B), so that every corner of the allowed range can be reached.
_PATH = 2.5

# Function from images, float32 (n, height, width, 3), 0 to 255, and int64 (n,) answers to the network's answers, int64 (n,), and
# the gradient at the images, float32 of their shape; the attack moves along its sign.
Slope = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def slope_of_loss(model: keras.Model) -> Slope:
    """Returns a function for the gradient of the cross-entropy of given answers, through the whole model with normalisation.

    Args:
      model: Model from float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to float32 (batch, classes) logits.
    """

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape), tf.TensorSpec((None,), tf.int64)], autograph=False)
    def slope(images: tf.Tensor, answers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = model(images, training=False)
            # In float32 the loss of a confident answer is 0, and so is its gradient.
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, tf.cast(logits, tf.float64))
            loss = tf.reduce_sum(losses)
        return tf.argmax(logits, axis=-1), tape.gradient(loss, images)

    return lambda images, answers: tuple(part.numpy() for part in slope(images, answers))


def fgsm(images: np.ndarray, slope: np.ndarray, *, strength: float) -> np.ndarray:
    """Takes one step of full strength along the sign of the gradient.

    Args:
      images: float32 (n, height, width, 3), RGB, 0 to 255.
      slope: Gradient of the loss at the images, of their shape.
      strength: Size of the step, in grey levels of 255.

    Returns:
      Changed images, of the same shape and type.
    """
    return np.clip(images + np.float32(strength) * np.sign(slope), 0, 255)


def pgd(images: np.ndarray, answers: np.ndarray, slope: Slope, *, strength: float, steps: int, seed: int) -> np.ndarray:
    """Climbs the loss from a random start within the allowed range, until an image's answer has changed.

    Args:
      images: float32 (n, height, width, 3), RGB, 0 to 255.
      answers: int64 (n,), answers to move away from.
      slope: Function for the gradient of the loss.
      strength: Largest change of every pixel, in grey levels of 255.
      steps: Largest number of steps.
      seed: Seed of the random starts.

    Returns:
      Changed images, of the same shape and type.
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
    """Takes one of `steps` steps along the sign of a gradient, clipped to the allowed range; all arrays have one shape."""
    return _within(moved + np.float32(_PATH * strength / steps) * np.sign(slope), images, strength)


def _within(moved: np.ndarray, images: np.ndarray, strength: float) -> np.ndarray:
    near = np.clip(moved, images - np.float32(strength), images + np.float32(strength))
    return np.clip(near, 0, 255).astype(np.float32)
