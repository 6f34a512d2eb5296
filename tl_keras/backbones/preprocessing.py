"""Prepares images as the teacher knew them: one spec serves the pipeline, the evaluation and the exported model.

Resizing and cropping are TensorFlow operations on one image, used by tf.data and by the SavedModel alike. Normalisation is
Keras's own `preprocess_input`, or a formula where Keras has none, traced into the model, so that every saved model takes
pixels from 0 to 255 and nobody can scale them twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tl_keras.errors import BackboneError

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from tl_keras.data.exif import Window

INSIDE_THE_MODEL = "inside_the_model"
_RULES = ("short_side", "crop_first", "central_fraction", "squash", "pad")
# EfficientNet-Lite's, `(x - 127) / 128`: tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py,
# MEAN_RGB and STDDEV_RGB.
_LITE_MEAN, _LITE_DEVIATION = 127.0, 128.0
_NORMALIZATIONS = ("tf", "torch", "caffe", "lite", INSIDE_THE_MODEL)


class Preprocess(Protocol):
    """What a teacher does to an input before its network: `PreprocessSpec` to images, `TextPreprocess` to texts.

    Attributes:
      image_size: Height and width of images in pixels; 0 if the input is no image.
      input_shape: Shape of one input of the network at its largest.
      network_shape: Shape of one input as the network is built for it, with None for a length that may be shorter.
      input_dtype: Type of the network's input.
      input_name: Name of the network's input.
      served_name: Name of what clients send, encoded images or texts, in a served model.
    """

    @property
    def image_size(self) -> int: ...  # noqa: D102
    @property
    def served_name(self) -> str: ...  # noqa: D102
    @property
    def input_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def network_shape(self) -> tuple[int | None, ...]: ...  # noqa: D102
    @property
    def input_dtype(self) -> str: ...  # noqa: D102
    @property
    def input_name(self) -> str: ...  # noqa: D102

    def describe(self) -> str:
        """Returns the preprocessing in words."""

    def to_json(self) -> dict[str, Any]:
        """Returns the preprocessing as a dictionary of JSON types."""

    def kept_fraction(self, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Returns the part of each input, 0 to 1, that reaches the network."""

    def decode(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the form of an input in which it is kept in memory."""

    def evaluation_transform(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the network's input for one image or text as the source has it."""

    def without_padding(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns a batch of the network's inputs without what pads all of them."""

    def in_graph(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from a batch as clients send it to the network's input, in TensorFlow operations only."""

    def normalize(self, images: Any) -> Any:
        """Returns what the network does to a batch of inputs first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """Records what the original evaluation of a set of weights did to an image.

    Example:
      ```python
      import numpy as np
      import tl_keras

      crop = tl_keras.PreprocessSpec(
          image_size=32, rule="squash", crop_fraction=1.0, interpolation="bilinear", antialias=True, normalization="tf"
      )
      assert crop.evaluation_transform(np.zeros((48, 64, 3), np.uint8)).shape == (32, 32, 3)
      ```

    Attributes:
      image_size: Height and width of the network's input, in pixels.
      rule: Rule by which an image of any size becomes a square.
        `short_side`: resize the short side to `image_size / crop_fraction`, keep the aspect, cut out the centre.
        `crop_first`: cut out the central square whose side is `crop_fraction` of the short side, then resize it.
        `central_fraction`: cut out the central `crop_fraction` of height and of width, then resize to a square.
        `squash`: resize to the square, whatever the aspect. `pad`: resize the long side, pad with black.
      crop_fraction: Part of the side that the crop keeps, above 0 and up to 1.
      interpolation: `bilinear` or `bicubic`.
      antialias: Whether shrinking averages over the pixels that it drops.
      normalization: Mode of Keras's `preprocess_input`: `tf` (-1 to 1), `torch` (ImageNet's mean and deviation), `caffe`
        (BGR, minus ImageNet's mean); `lite`, EfficientNet-Lite's (minus 127, by 128), which Keras lacks; or
        `inside_the_model`, for networks that normalise their own input.
      half_pixel_centers: Whether a pixel is sampled at its centre, as everywhere except in TensorFlow 1, which sampled it at
        its corner and trained some of the weights. Without it, shrinking is never antialiased.
      background: Colour under transparent pixels, `white` or `black`; the user's choice, not the teacher's.
      significant_bits: Number of bits that the values of 16-bit PNG files use, 8 to 16; a property of the user's files.
    """

    image_size: int
    rule: str
    crop_fraction: float
    interpolation: str
    antialias: bool
    normalization: str
    half_pixel_centers: bool = True
    background: str = "white"
    significant_bits: int = 16

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Returns the shape of one input of the network."""
        return self.image_size, self.image_size, 3

    @property
    def network_shape(self) -> tuple[int, int, int]:
        """Returns the shape of one input of the network, which takes one size of images."""
        return self.input_shape

    @property
    def input_dtype(self) -> str:
        """Returns the type of the network's input."""
        return "float32"

    @property
    def input_name(self) -> str:
        """Returns the name of the network's input."""
        return "images"

    @property
    def served_name(self) -> str:
        """Returns the name of what clients of a served model send."""
        return "image_bytes"

    def with_resize(self, resize: str) -> PreprocessSpec:
        """Returns the spec with the user's `resize`: `original` changes nothing, `squash` and `pad` set the rule."""
        return self if resize == "original" else dataclasses.replace(self, rule=resize, crop_fraction=1.0)

    def with_decoding(self, *, background: str, significant_bits: int) -> PreprocessSpec:
        """Returns the spec with the user's settings for transparent and 16-bit files."""
        return dataclasses.replace(self, background=background, significant_bits=significant_bits)

    def with_image_size(self, image_size: int) -> PreprocessSpec:
        """Returns the spec for another size in pixels; the crop rule scales with it.

        The margin that `crop_first` leaves around the crop keeps its pixels at every size (EfficientNet's CROP_PADDING).
        """
        fraction = self.crop_fraction
        if self.rule == "crop_first":
            around = round(self.image_size / fraction) - self.image_size
            fraction = image_size / (image_size + around)
        return dataclasses.replace(self, image_size=image_size, crop_fraction=fraction)

    def describe(self) -> str:
        """Returns the spec in words, such as `short side to 256, centre 224, bicubic; normalisation caffe`."""
        size, part = self.image_size, f"{100 * self.crop_fraction:.4g}%"
        rule = {
            "short_side": f"short side to {round(size / self.crop_fraction)}, centre {size}",
            "crop_first": f"central square of {part} of the short side, resized to {size}",
            "central_fraction": f"central {part} of each side, squashed to {size}",
            "squash": f"squashed to {size}",
            "pad": f"long side to {size}, padded with black",
        }[self.rule]
        antialias = " with antialias" if self.antialias else ""
        sampling = "" if self.half_pixel_centers else " as TensorFlow 1 samples"
        return (
            f"{rule}, {self.interpolation}{antialias}{sampling}; normalisation {self.normalization.replace('_', ' ')}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the spec as a dictionary of JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PreprocessSpec:
        """Returns the spec that `to_json` or a person wrote.

        Raises:
          BackboneError: A field is missing, unknown or out of its range.
        """
        expected: dict[str, tuple[str, Callable[[Any], bool]]] = {
            "image_size": ("a size in pixels", lambda value: type(value) is int and value >= 1),
            "rule": (f"one of {', '.join(_RULES)}", lambda value: value in _RULES),
            "crop_fraction": ("above 0 to 1", lambda value: type(value) in (int, float) and 0 < value <= 1),
            "interpolation": ("bilinear or bicubic", lambda value: value in ("bilinear", "bicubic")),
            "antialias": ("true or false", lambda value: type(value) is bool),
            "normalization": (f"one of {', '.join(_NORMALIZATIONS)}", lambda value: value in _NORMALIZATIONS),
            "half_pixel_centers": ("true or false", lambda value: type(value) is bool),
            "background": ("white or black", lambda value: value in ("white", "black")),
            "significant_bits": ("8 to 16", lambda value: type(value) is int and 8 <= value <= 16),
        }
        if isinstance(values, dict):
            values = {
                "half_pixel_centers": True,
                "background": "white",
                "significant_bits": 16,
                **values,
            }  # optional
        if not isinstance(values, dict) or set(values) != set(expected):
            raise BackboneError(
                f"preprocess: expected the fields {', '.join(expected)}. Received: {json.dumps(values)}."
            )
        for name, (wanted, holds) in expected.items():
            if not holds(values[name]):
                raise BackboneError(f"preprocess: expected {name} {wanted}. Received: {json.dumps(values[name])}.")
        return cls(**values)

    def kept_fraction(self, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Returns the part of each image's area, 0 to 1, that reaches the network; all arrays have shape (n,)."""
        import numpy as np  # not at the top, because the table of backbones is listed without it

        if self.rule in ("squash", "pad"):
            return np.ones(len(heights))
        if self.rule == "central_fraction":
            return np.full(len(heights), self.crop_fraction**2)
        return self.crop_fraction**2 * np.minimum(heights, widths) / np.maximum(heights, widths)

    def resized_pixels(self, height: int, width: int) -> int:
        """Returns the largest number of pixels that resizing an image holds at once; for a narrow image far more than its own.

        TensorFlow resizes one axis after the other, so the image in between has one old side and one new one. Each side counts
        as the longer of the two, which bounds all three images.

        Args:
          height: Height of the image, above 0.
          width: Width of the image, above 0.
        """
        sides = height, width
        if self.rule == "short_side":
            scale = round(self.image_size / self.crop_fraction) / min(sides)
            height, width = (max(side, round(side * scale)) for side in sides)
        else:
            height, width = (max(side, self.image_size) for side in sides)
        return height * width

    def decode(self, image: tf.Tensor, window: Window | None = None) -> tf.Tensor:
        """Returns the RGB pixels of an image, uint8 (height, width, 3); see `tl_keras.data.decoding.decode_image`."""
        from tl_keras.data.decoding import decode_image

        return decode_image(image, window, background=self.background, significant_bits=self.significant_bits)

    def evaluation_transform(self, image: tf.Tensor) -> tf.Tensor:
        """Resizes and crops one image as the teacher's evaluation did.

        Args:
          image: Tensor, an image as `tl_keras.data.decoding.decode_image` takes it: an encoded file, which is decoded only as
            far as needed, or pixels, uint8 or float32 (height, width, 3), RGB, 0 to 255.

        Returns:
          Tensor, float32 (image_size, image_size, 3), RGB, 0 to 255, not rounded.
        """
        import tensorflow as tf

        windows = {"crop_first": self._central_square, "central_fraction": self._central_part}
        image = self.decode(image, windows.get(self.rule))
        size = self.image_size
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        if self.rule == "short_side":
            scale = round(size / self.crop_fraction) / tf.cast(tf.minimum(height, width), tf.float64)
            target = [_scaled(height, scale), _scaled(width, scale)]
            resized = self.resize(image, target)
            cropped = resized[(target[0] - size) // 2 :, (target[1] - size) // 2 :][:size, :size]
        elif self.rule == "pad":
            scale = size / tf.cast(tf.maximum(height, width), tf.float64)
            target = [tf.maximum(1, _scaled(height, scale)), tf.maximum(1, _scaled(width, scale))]
            cropped = tf.image.resize_with_crop_or_pad(self.resize(image, target), size, size)
        else:
            cropped = self.resize(image, [size, size])
        return tf.ensure_shape(cropped, (size, size, 3))

    def without_padding(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the images unchanged."""
        return inputs

    def in_graph(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns `evaluation_transform` of several images, encoded, string (n,), or pixels, uint8 (n, height, width, 3)."""
        import tensorflow as tf

        prepared = tf.TensorSpec(self.input_shape, tf.float32)
        return lambda images: tf.map_fn(self.evaluation_transform, images, fn_output_signature=prepared)

    def _central_square(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the window of `crop_first`, as `decode_image` takes it."""
        import tensorflow as tf

        # EfficientNet's code computes in float32 and drops the fraction of a pixel.
        part = tf.constant(self.crop_fraction, tf.float32) * tf.cast(tf.reduce_min(shape), tf.float32)
        side = tf.maximum(1, tf.cast(part, tf.int32))
        return (shape - side + 1) // 2, tf.stack([side, side])

    def _central_part(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the window of `central_fraction`, as `decode_image` takes it."""
        import tensorflow as tf

        # TF-Slim calls `tf.image.central_crop`, which rounds like this.
        exact = tf.cast(shape, tf.float64)
        start = tf.cast((exact - exact * self.crop_fraction) / 2, tf.int32)
        return start, shape - 2 * start

    def normalize(self, images: Any) -> Any:
        """Applies the teacher's own `preprocess_input`.

        Args:
          images: Tensor or Keras symbolic tensor, float32 (batch, height, width, 3), RGB, 0 to 255.

        Returns:
          Tensor of the same shape, in the range that the network expects.
        """
        if self.normalization == INSIDE_THE_MODEL:
            return images
        if self.normalization == "lite":
            return (images - _LITE_MEAN) / _LITE_DEVIATION
        import keras

        return keras.applications.imagenet_utils.preprocess_input(images, mode=self.normalization)

    def resize(self, image: tf.Tensor, target: Any) -> tf.Tensor:
        """Resizes an image or a part of one as the teacher's training did.

        Args:
          image: Tensor, uint8 or float32 (height, width, 3), RGB, 0 to 255.
          target: Height and width of the result.

        Returns:
          Tensor, float32 (*target, 3), 0 to 255.
        """
        import tensorflow as tf

        if self.half_pixel_centers:
            resized = tf.image.resize(image, target, method=self.interpolation, antialias=self.antialias)
        else:
            legacy = {"bilinear": tf.raw_ops.ResizeBilinear, "bicubic": tf.raw_ops.ResizeBicubic}[self.interpolation]
            resized = legacy(images=image[None], size=target)[0]
        resized = tf.cast(resized, tf.float32)
        # Bicubic interpolation overshoots beyond black and white, values that the teacher never saw.
        return tf.clip_by_value(resized, 0.0, 255.0) if self.interpolation == "bicubic" else resized


def _scaled(length: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Returns an int32 length times a float64 scale, rounded to the nearest integer."""
    import tensorflow as tf

    return tf.cast(tf.round(tf.cast(length, tf.float64) * tf.cast(scale, tf.float64)), tf.int32)
