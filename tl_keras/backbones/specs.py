"""The table of backbones: what the original training of each fixed, as data."""

from __future__ import annotations

import dataclasses
import functools

from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, PreprocessSpec
from tl_keras.errors import BackboneError, nearest


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """A run of layers that only one tensor leaves: a place where the network can be cut.

    Attributes:
      name: What a person calls it, such as `block 13` or `stage 4 block 2`.
      last_layer: Name of the layer whose output leaves the block.
    """

    name: str
    last_layer: str


@dataclasses.dataclass(frozen=True)
class WeightsSpec:
    """A family of pre-trained weights and what its training fixed.

    Attributes:
      name: `imagenet` or `embedded`.
      preprocess: How the weights were evaluated.
      alpha: Width multiplier of the architecture, 1.0 where it has none.
      source: Where the crop, the interpolation and the weights are described.
    """

    name: str
    preprocess: PreprocessSpec
    alpha: float
    source: str


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """A pre-trained architecture of `keras.applications`.

    Attributes:
      name: The constructor in `keras.applications`.
      min_image_size: Smallest height and width that it accepts without its top, in pixels.
      feature_dim: Channels of its output without its top, at alpha 1.
      has_alpha: Whether the constructor takes a width multiplier.
      blocks: From input to output; every layer belongs to exactly one.
      weights: By name.
    """

    name: str
    min_image_size: int
    feature_dim: int
    has_alpha: bool
    blocks: tuple[BlockSpec, ...]
    weights: tuple[WeightsSpec, ...]

    @property
    def default_weights(self) -> WeightsSpec:
        """The published ImageNet weights, whose preprocessing also serves random weights and a file."""
        return self.weights[0]


def backbone_names() -> tuple[str, ...]:
    """Returns the names that `--backbone` accepts, sorted."""
    return tuple(sorted(_table()))


def backbone_spec(name: str) -> BackboneSpec:
    """Returns the spec of a backbone.

    Raises:
      BackboneError: The name is unknown.
    """
    if name not in _table():
        raise BackboneError(
            f"backbone: expected one of {', '.join(backbone_names())}. Received: {name}. "
            f"{nearest(name, backbone_names())}".strip()
        )
    return _table()[name]


# torchvision, timm and the accuracies that Keras quotes use this one: short side 256, centre 224 (He et al. 2015, 3.4).
_SHORT_SIDE_256 = {"rule": "short_side", "crop_fraction": 224 / 256, "interpolation": "bilinear", "antialias": True}


@functools.cache
def _table() -> dict[str, BackboneSpec]:
    specs = (_mobilenet(), _mobilenet_v2(), _resnet50(), _inception_v3(), _efficientnet_b0())
    return {spec.name: spec for spec in specs}


def _mobilenet() -> BackboneSpec:
    blocks = [BlockSpec("stem", "conv1_relu")]
    blocks += [BlockSpec(f"block {i}", f"conv_pw_{i}_relu") for i in range(1, 14)]
    preprocess = PreprocessSpec(image_size=224, normalization="mobilenet", **_SHORT_SIDE_256)
    source = "not published for the Keras port: Keras's evaluation protocol"
    return BackboneSpec("MobileNet", 32, 1024, True, tuple(blocks), (WeightsSpec("imagenet", preprocess, 1.0, source),))


def _mobilenet_v2() -> BackboneSpec:
    with_shortcut = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}
    blocks = [BlockSpec("stem", "Conv1_relu"), BlockSpec("block 0", "expanded_conv_project_BN")]
    blocks += [
        BlockSpec(f"block {i}", f"block_{i}_{'add' if i in with_shortcut else 'project_BN'}") for i in range(1, 17)
    ]
    blocks += [BlockSpec("top conv", "out_relu")]
    imagenet = WeightsSpec(
        "imagenet",
        PreprocessSpec(image_size=224, normalization="mobilenet_v2", **_SHORT_SIDE_256),
        1.0,
        "not published for the Keras port: Keras's evaluation protocol",
    )
    embedded = WeightsSpec(
        "embedded",
        PreprocessSpec(
            image_size=32,
            rule="squash",
            crop_fraction=1.0,
            interpolation="bilinear",
            antialias=True,
            normalization="mobilenet_v2",
        ),
        0.35,
        "trained by this project: tl_keras/backbones/embedded/provenance.json",
    )
    return BackboneSpec("MobileNetV2", 32, 1280, True, tuple(blocks), (imagenet, embedded))


def _resnet50() -> BackboneSpec:
    blocks = [BlockSpec("stem", "pool1_pool")]
    for stage, repeats in ((2, 3), (3, 4), (4, 6), (5, 3)):
        blocks += [BlockSpec(f"stage {stage} block {i}", f"conv{stage}_block{i}_out") for i in range(1, repeats + 1)]
    preprocess = PreprocessSpec(image_size=224, normalization="resnet50", **_SHORT_SIDE_256)
    source = "He et al. 2015, section 3.4 (short side 256, centre crop 224)"
    return BackboneSpec("ResNet50", 32, 2048, False, tuple(blocks), (WeightsSpec("imagenet", preprocess, 1.0, source),))


def _inception_v3() -> BackboneSpec:
    blocks = [BlockSpec("stem and mixed 0", "mixed0")]
    blocks += [BlockSpec(f"mixed {i}", f"mixed{i}") for i in range(1, 11)]
    preprocess = PreprocessSpec(
        image_size=299,
        rule="central_fraction",
        crop_fraction=0.875,
        interpolation="bilinear",
        antialias=False,
        normalization="inception_v3",
    )
    source = "tensorflow/models, research/slim/preprocessing/inception_preprocessing.py, preprocess_for_eval"
    return BackboneSpec(
        "InceptionV3", 75, 2048, False, tuple(blocks), (WeightsSpec("imagenet", preprocess, 1.0, source),)
    )


def _efficientnet_b0() -> BackboneSpec:
    blocks = [BlockSpec("stem", "stem_activation")]
    for stage, repeats in enumerate((1, 2, 2, 3, 3, 4, 1), start=1):
        for i, letter in enumerate("abcd"[:repeats]):
            blocks.append(BlockSpec(f"block {stage}{letter}", f"block{stage}{letter}_{'add' if i else 'project_bn'}"))
    blocks.append(BlockSpec("top conv", "top_activation"))
    preprocess = PreprocessSpec(
        image_size=224,
        rule="crop_first",
        crop_fraction=224 / 256,
        interpolation="bicubic",
        antialias=False,
        normalization=INSIDE_THE_MODEL,
    )
    source = "tensorflow/tpu, models/official/efficientnet/preprocessing.py, _decode_and_center_crop (CROP_PADDING 32)"
    return BackboneSpec(
        "EfficientNetB0", 32, 1280, False, tuple(blocks), (WeightsSpec("imagenet", preprocess, 1.0, source),)
    )
