"""What the original training of each backbone fixed, as data: the dataclasses, and the look-up by name.

The rows of the table are in `tl_keras.backbones.families`.
"""

from __future__ import annotations

import dataclasses
import functools

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.errors import BackboneError, nearest

NOT_PUBLISHED = "not published: Keras's evaluation protocol"


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """A run of layers at whose end the network can be cut.

    A block ends `offset` layers after the layer named `anchor`, in the order of `model.layers`. Names alone would not
    do: some layers are called otherwise in the second build of a process.

    Attributes:
      name: What a person calls it, such as `block 13` or `stage 4 block 2`.
      anchor: Name of a layer that is called the same in every build.
      offset: Layers from there to the last one of the block; negative where the anchor comes later.
    """

    name: str
    anchor: str
    offset: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A published file of weights without the top, and how it is known to be whole.

    Attributes:
      name: In the folder `models` of KERAS_HOME.
      hash: MD5 (32 digits) or SHA-256 (64 digits, or the first ones) that is published for the file, or empty.
      alpha: Width multiplier of the architecture, 1.0 where it has none.
      image_size: What the weights were trained at, in pixels; 0 where there is one file for every size.
      weights_sha256: `tl_keras.backbones.weights.fingerprint` of the loaded network, recorded by us where no hash is
        published and the real file was at hand, or empty.
      url: Where the user gets a file that Keras does not download; empty where it does.
    """

    name: str
    hash: str = ""
    alpha: float = 1.0
    image_size: int = 0
    weights_sha256: str = ""
    url: str = ""

    @property
    def hash_name(self) -> str:
        """`MD5` or `SHA-256`, by the number of digits."""
        return "MD5" if len(self.hash) == 32 else "SHA-256"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsSpec:
    """A family of pre-trained weights and what its training fixed.

    Attributes:
      name: `imagenet` or `embedded`.
      preprocess: How the weights were evaluated, at the size that they were published for.
      source: Paper or code that describes the crop and the interpolation, or `NOT_PUBLISHED`.
      alpha: Width multiplier unless the user chooses another, 1.0 where the architecture has none.
      files: What is published; of each width, the file for sizes that have none of their own comes last. Empty for what
        the package carries.
    """

    name: str
    preprocess: PreprocessSpec
    source: str
    alpha: float = 1.0
    files: tuple[WeightsFile, ...] = ()

    def file_for(self, *, alpha: float, image_size: int) -> WeightsFile:
        """Returns the file that Keras loads for a width that is published and a size in pixels."""
        files = [file for file in self.files if file.alpha == alpha]
        return next((file for file in files if file.image_size == image_size), files[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """A pre-trained architecture.

    Attributes:
      name: Its constructor.
      module: The module of `keras.applications` that has its `preprocess_input`; empty for an architecture of ours.
      min_image_size: Smallest height and width that it accepts without its top, in pixels.
      feature_dim: Channels of its output without its top, at alpha 1.
      parameters: Without the top, at alpha 1.
      parameters_with_top: With the 1000-class top.
      imagenet_top1: Published accuracy of the default weights, 0 to 1; see `top1_source`.
      blocks: From input to output; every layer belongs to exactly one.
      weights: Families of weights, ImageNet's first.
      single_tensor_edges: Whether one tensor alone leaves each block. False for NASNet, whose cells pass two: freezing up to
        an edge is sound there, but the features at it are two tensors.
      rescaling_after_normalization: Factors, one a channel, of a Rescaling layer after the Normalization that Keras builds
        for `weights="imagenet"` only, though the official file by path and a student of it need it too; else empty.
      unusable_keras: Minor versions of Keras, such as `3.11`, that cannot build it as its weights need it.
      constructor_package: Module that the constructor is imported from.
      top1_source: Where `imagenet_top1` is published.
    """

    name: str
    module: str
    min_image_size: int
    feature_dim: int
    parameters: int
    parameters_with_top: int
    imagenet_top1: float
    blocks: tuple[BlockSpec, ...]
    weights: tuple[WeightsSpec, ...]
    single_tensor_edges: bool = True
    rescaling_after_normalization: tuple[float, ...] = ()
    unusable_keras: tuple[str, ...] = ()
    constructor_package: str = "keras.applications"
    top1_source: str = "keras.io/api/applications"

    @property
    def alphas(self) -> tuple[float, ...]:
        """Widths that ImageNet weights are published for; (1.0,) where the constructor takes no width."""
        return tuple(sorted({file.alpha for file in self.default_weights.files}))

    @property
    def classifies_pooled(self) -> bool:
        """Whether ImageNet's 1000 classes are one layer on the pooled features, which VGG, AlexNet and MobileNetV3 do not have.

        ConvNeXt has it too, but normalises after pooling, and without its top before.
        """
        top = self.parameters_with_top - self.parameters
        return top == 1000 * (self.feature_dim + 1) and self.module != "convnext"

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
        closest = nearest(name, backbone_names())
        raise BackboneError(
            f"backbone: expected one of {', '.join(backbone_names())}. Received: {name}. {closest}".strip()
        )
    return _table()[name]


@functools.cache
def _table() -> dict[str, BackboneSpec]:
    from tl_keras.backbones.families import all_specs  # the rows use the classes above

    return {spec.name: spec for spec in all_specs()}
