"""Builds AlexNet, which keras.applications lacks, and reads its published weights from PyTorch's file.

The layers are those of torchvision's `alexnet`: "One weird trick for parallelizing convolutional neural networks"
(Krizhevsky 2014), 64-192-384-256-256 channels, without local response normalisation.
"""

from __future__ import annotations

import hashlib
import pathlib
import re

import keras
import numpy as np

from tl_keras.backbones.torch_file import read_state_dict
from tl_keras.errors import BackboneError

# Channels, kernel, stride and padding of each convolution, and whether a 3x3 pooling of stride 2 follows it.
_CONVOLUTIONS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
# Positions of the convolutions in torchvision's `features`, a sequence that also holds activations and poolings.
_TORCH_POSITIONS = (0, 3, 6, 8, 10)


def AlexNet(*, include_top: bool, weights: None, input_shape: tuple[int, int, int]) -> keras.Model:  # noqa: N802
    """Builds AlexNet without its top, with the keywords of keras.applications.

    Args:
      include_top: Flag that must be False, since there is no top.
      weights: None, which means random weights.
      input_shape: Height and width of at least 63, and 3 channels.

    Returns:
      A model from float32 (batch, height, width, 3), RGB, normalised by ImageNet's mean and deviation, to float32
      (batch, height', width', 256); the feature map is 6 by 6 for 224 pixels.
    """
    images = x = keras.Input(input_shape, name="images")
    for number, (channels, kernel, stride, padding, pooled) in enumerate(_CONVOLUTIONS, start=1):
        x = keras.layers.ZeroPadding2D(padding, name=f"pad{number}")(x)
        x = keras.layers.Conv2D(channels, kernel, strides=stride, name=f"conv{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        if pooled:
            x = keras.layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    return keras.Model(images, x, name="alexnet")


def read_torch_weights(path: pathlib.Path) -> list[np.ndarray]:
    """Reads the convolutions of a state dictionary that torchvision published, in the order of `AlexNet`'s weights.

    Nothing in the file is executed, and PyTorch is not needed.

    Returns:
      Kernels, float32 (height, width, in, out), and biases, float32 (out,), alternating.

    Raises:
      BackboneError: The file's SHA-256 does not begin with the digits in its name.
      Exception: The file is damaged or holds something else; see `read_state_dict`.
    """
    published = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if published and not hashlib.sha256(path.read_bytes()).hexdigest().startswith(published[1]):
        raise BackboneError(
            f"weights: expected a file whose SHA-256 begins with {published[1]}. Received: {path}, which is damaged or "
            "altered. Download it again."
        )
    state = read_state_dict(path)
    arrays = []
    for position in _TORCH_POSITIONS:
        arrays.append(np.transpose(state[f"features.{position}.weight"], (2, 3, 1, 0)))
        arrays.append(state[f"features.{position}.bias"])
    return arrays
