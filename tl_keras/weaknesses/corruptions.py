"""Photos as they go wrong in practice: five corruptions at five severities, as ImageNet-C defines them.

Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"; one or two from
each of their groups (noise, blur, weather, digital), with the constants of their code, github.com/hendrycks/robustness,
ImageNet-C/imagenet_c/imagenet_c/corruptions.py. They were made for 224 pixels: the radius of the blur is scaled with the image,
as theirs for CIFAR-10-C is (0.3 to 1.5 for 32 pixels); the other constants are taken as they are.
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
    """One way in which an image goes wrong.

    Attributes:
      name: What a person calls it.
      quantity: What its constants are: deviations and what is added are parts of the range, radii pixels of 224.
      constants: One for each severity, from 1.
      apply: From an image, float32 (height, width, 3), RGB, 0 to 255, a constant, and a seed, int32 or int64 (2,), to an image
        like it; it may leave 0 to 255.
    """

    name: str
    quantity: str
    constants: tuple[float, ...]
    apply: Callable[[tf.Tensor, float, tf.Tensor], tf.Tensor]


def corrupt(image: tf.Tensor, corruption: Corruption, severity: int, seed: tf.Tensor) -> tf.Tensor:
    """Corrupts an image as the network is given it, after resize and crop and before normalisation.

    Args:
      image: float32 (height, width, 3), RGB, 0 to 255.
      corruption: One of `CORRUPTIONS`.
      severity: 0, which changes nothing, to 5.
      seed: int32 or int64 (2,). What is random follows from it alone and is the same draw at every severity.

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
    """Returns the picture of a point that is out of focus: a disk with a soft edge.

    Args:
      radius: Of the disk, in pixels of an image of 224.
      image_size: Of the image, in pixels.

    Returns:
      float32 (side, side), its sum 1.
    """
    scaled = radius * image_size / _SIZE_OF_THE_CONSTANTS
    edge, cut_off = 0.1 if radius <= 3 else 0.5, 1 if radius <= 8 else 2  # of the Gaussian on the edge; theirs
    reach = math.ceil(scaled) + cut_off  # theirs ends at 8, or with the disk, and then sums up to 1.01
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
