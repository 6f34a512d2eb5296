"""Corrupts photos as happens in practice: five corruptions at five severities, as ImageNet-C defines them.

The source is Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations": one
or two from each of its groups (noise, blur, weather, digital), with the constants of its code, github.com/hendrycks/robustness,
ImageNet-C/imagenet_c/imagenet_c/corruptions.py. The constants were chosen for 224 pixels: the radius of the blur is scaled with
the image, as in CIFAR-10-C (0.3 to 1.5 for 32 pixels); the other constants are used unchanged.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy.ndimage import gaussian_filter

_SIZE_OF_THE_CONSTANTS = 224  # pixels


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A way in which an image is corrupted.

    Attributes:
      name: Name for people.
      quantity: Meaning of the constants: deviations and additions are parts of the range, radii are pixels of 224.
      constants: Constants, one for each severity from 1.
      apply: Function from an image, float32 (height, width, 3), RGB, 0 to 255, a constant and a seed, int32 or int64 (2,), to
        an image of the same shape, whose values may leave 0 to 255.
    """

    name: str
    quantity: str
    constants: tuple[float, ...]
    apply: Callable[[tf.Tensor, float, tf.Tensor], tf.Tensor]


def corrupt(image: tf.Tensor, corruption: Corruption, severity: int, seed: tf.Tensor) -> tf.Tensor:
    """Corrupts an image of the network's input size, after resize and crop and before normalisation.

    Args:
      image: float32 (height, width, 3), RGB, 0 to 255.
      corruption: Corruption from `CORRUPTIONS`.
      severity: Severity from 0, which changes nothing, to 5.
      seed: int32 or int64 (2,). It alone determines the random numbers, which are the same at every severity.

    Returns:
      float32 (height, width, 3), RGB, 0 to 255.
    """
    if severity == 0:
        return image
    return tf.clip_by_value(corruption.apply(image, corruption.constants[severity - 1], seed), 0.0, 255.0)


def _noise(image: tf.Tensor, deviation: float, seed: tf.Tensor) -> tf.Tensor:
    # Philox gives the same numbers on every device.
    return image + 255 * deviation * tf.random.stateless_normal(tf.shape(image), seed, alg="philox")


def _blur(image: tf.Tensor, radius: float, seed: tf.Tensor) -> tf.Tensor:
    kernel = defocus_kernel(radius, image_size=image.shape[0])
    margin = len(kernel) // 2
    padded = tf.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="REFLECT")
    filters = tf.constant(np.repeat(kernel[:, :, None, None], 3, axis=2))
    return tf.nn.depthwise_conv2d(padded[None], filters, strides=(1, 1, 1, 1), padding="VALID")[0]


def defocus_kernel(radius: float, *, image_size: int) -> np.ndarray:
    """Returns the image of a point out of focus, a disk with a soft edge.

    Args:
      radius: Radius of the disk, in pixels of an image of 224.
      image_size: Size of the image, in pixels.

    Returns:
      float32 (side, side), with sum 1.
    """
    scaled = radius * image_size / _SIZE_OF_THE_CONSTANTS
    edge, cut_off = 0.1 if radius <= 3 else 0.5, 1 if radius <= 8 else 2  # ImageNet-C's constants of the soft edge
    reach = math.ceil(scaled) + cut_off  # ImageNet-C ends at 8 or with the disk, and then sums up to 1.01
    squares: np.ndarray = np.arange(-reach, reach + 1) ** 2
    disk = (squares[:, None] + squares <= scaled**2).astype(np.float32)
    return gaussian_filter(disk / disk.sum(), edge, radius=cut_off, mode="constant")


def _jpeg(image: tf.Tensor, quality: float, seed: tf.Tensor) -> tf.Tensor:
    encoded = tf.io.encode_jpeg(tf.cast(tf.round(image), tf.uint8), quality=int(quality))
    return tf.cast(tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)


def _contrast(image: tf.Tensor, factor: float, seed: tf.Tensor) -> tf.Tensor:
    means = tf.reduce_mean(image, axis=(0, 1), keepdims=True)
    return (image - means) * factor + means


def _brightness(image: tf.Tensor, added: float, seed: tf.Tensor) -> tf.Tensor:
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(image / 255), axis=-1)
    return 255 * tf.image.hsv_to_rgb(tf.stack([hue, saturation, tf.minimum(value + added, 1.0)], axis=-1))


CORRUPTIONS = (
    Corruption("Gaussian noise", "deviation", (0.08, 0.12, 0.18, 0.26, 0.38), _noise),
    Corruption("defocus blur", "radius", (3, 4, 6, 8, 10), _blur),
    Corruption("JPEG compression", "quality", (25, 18, 15, 10, 7), _jpeg),
    Corruption("low contrast", "factor", (0.4, 0.3, 0.2, 0.1, 0.05), _contrast),
    Corruption("brightness", "added", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
)
