"""Records what the original training of each backbone fixed: the dataclasses, and the look-up by name.

The rows of the table are in `tl_keras.backbones.families`.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.errors import BackboneError, nearest

# Teachers of texts; `tl_keras.text.teachers` finds them.
TEXT_TEACHERS = ("MiniLM-L6",)
NOT_PUBLISHED = "not published: Keras's evaluation protocol"


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """A block is a run of layers at whose end the network can be cut.

    A block ends `offset` layers after the layer named `anchor`, in the order of `model.layers`. Names alone are not enough,
    because some layers get other names in the second build of a process.

    Example:
      ```python
      import tl_keras

      block = tl_keras.BlockSpec("block 1", anchor="relu1")
      ```

    Attributes:
      name: Name for people, such as `block 13` or `stage 4 block 2`.
      anchor: Name of a layer that has the same name in every build.
      offset: Number of layers from the anchor to the last layer of the block; negative if the anchor comes later.
    """

    name: str
    anchor: str
    offset: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A published file of weights without the top, and how its integrity is checked.

    Attributes:
      name: Name of the file in the folder `models` of KERAS_HOME.
      hash: MD5 (32 digits) or SHA-256 (64 digits, or the first ones) published for the file, or empty.
      alpha: Width multiplier of the architecture, 1.0 if it has none.
      image_size: Image size that the weights were trained at, in pixels; 0 if one file serves every size.
      weights_sha256: `tl_keras.backbones.weights.fingerprint` of the loaded network, recorded by this project if no hash is
        published and the real file was at hand, else empty.
      url: Address of a file that Keras does not download, for the user; else empty.
      package: Module of the package of the extra `teachers` that holds the file, whose SHA-256 `hash` is; else empty.
    """

    name: str
    hash: str = ""
    alpha: float = 1.0
    image_size: int = 0
    weights_sha256: str = ""
    url: str = ""
    package: str = ""

    @property
    def hash_name(self) -> str:
        """Returns `MD5` or `SHA-256`, by the number of digits."""
        return "MD5" if len(self.hash) == 32 else "SHA-256"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsSpec:
    """A family of pre-trained weights, with what its training fixed.

    Example:
      ```python
      import tl_keras

      crop = tl_keras.PreprocessSpec(
          image_size=32, rule="squash", crop_fraction=1.0, interpolation="bilinear", antialias=True, normalization="tf"
      )
      weights = tl_keras.WeightsSpec(name="imagenet", preprocess=crop, source="the paper that describes the crop")
      ```

    Attributes:
      name: `imagenet` or `embedded`.
      preprocess: Preprocessing with which the weights were evaluated, at the size that they were published for.
      source: Paper or code that describes the crop and the interpolation, or `NOT_PUBLISHED`.
      alpha: Default width multiplier, 1.0 if the architecture has none.
      files: Published files; for each width, the file for sizes without a file of their own comes last. Empty for weights that
        the package carries, and where none are published.
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
    """A pre-trained architecture, with the facts that every part of the package needs.

    Example:
      `register_backbone` makes it known by its name; docs/adding_a_backbone.md says where each fact comes from.

      ```python
      import tl_keras

      crop = tl_keras.PreprocessSpec(
          image_size=32, rule="squash", crop_fraction=1.0, interpolation="bilinear", antialias=True, normalization="tf"
      )
      spec = tl_keras.BackboneSpec(
          name="SmallNet",
          module="mobilenet_v2",
          min_image_size=32,
          feature_dim=16,
          parameters=1392,
          parameters_with_top=18392,
          imagenet_top1=0.0,
          blocks=(tl_keras.BlockSpec("block 1", "relu1"), tl_keras.BlockSpec("block 2", "relu2")),
          weights=(tl_keras.WeightsSpec(name="imagenet", preprocess=crop, source="a paper"),),
          constructor_package="my_package.networks",
      )
      ```

    Attributes:
      name: Name of its constructor.
      module: Module of `keras.applications` that has its `preprocess_input`; empty for an architecture of this project.
      min_image_size: Smallest height and width that it accepts without its top, in pixels.
      feature_dim: Number of output channels without its top, at alpha 1.
      parameters: Number of parameters without the top, at alpha 1.
      parameters_with_top: Number of parameters with the 1000-class top.
      imagenet_top1: Published accuracy of the default weights, 0 to 1; see `top1_source`.
      blocks: Blocks from input to output; every layer belongs to exactly one.
      weights: Families of weights, ImageNet's first.
      single_tensor_edges: Whether one tensor alone leaves each block. False for NASNet, whose cells pass two: freezing up to
        an edge is sound there, but the features at the edge are two tensors.
      rescaling_after_normalization: Factors, one per channel, of a Rescaling layer after the Normalization. Keras builds that
        layer for `weights="imagenet"` only, though the same weights need it when loaded from a file; else empty.
      unusable_keras: Minor versions of Keras, such as `3.11`, that do not build the network that its weights need.
      constructor_package: Module that the constructor is imported from.
      top1_source: Place where `imagenet_top1` is published.
      top1_of_widths: Published accuracies of other widths at the default image size, as (width, accuracy).
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
    top1_of_widths: tuple[tuple[float, float], ...] = ()

    def top1(self, alpha: float) -> float:
        """Returns the published ImageNet accuracy of a width, 0 to 1; 0 if none is published."""
        return dict(self.top1_of_widths).get(alpha, self.imagenet_top1 if alpha == 1.0 else 0.0)

    @property
    def alphas(self) -> tuple[float, ...]:
        """Returns the widths that ImageNet weights are published for; (1.0,) if the constructor takes no width."""
        return tuple(sorted({file.alpha for file in self.default_weights.files})) or (1.0,)

    @property
    def classifies_pooled(self) -> bool:
        """Returns whether the ImageNet top is one layer on the pooled features, unlike that of VGG, AlexNet and MobileNetV3.

        ConvNeXt's is one layer too, but it normalises after pooling, whereas the network without its top does so before.
        """
        top = self.parameters_with_top - self.parameters
        return top == 1000 * (self.feature_dim + 1) and self.module != "convnext"

    @property
    def default_weights(self) -> WeightsSpec:
        """Returns the ImageNet weights, whose preprocessing also applies to random weights and to a file."""
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


def takes_texts(backbone: str) -> bool:
    """Returns whether a teacher takes texts: one of `TEXT_TEACHERS`, or a folder of Hugging Face files."""
    return backbone in TEXT_TEACHERS or pathlib.Path(backbone, "config.json").is_file()


def register_backbone(spec: BackboneSpec) -> None:
    """Makes a backbone known by its name, next to those of the table, in this process.

    Example:
      ```python
      import dataclasses
      import tl_keras
      from tl_keras.backbones.specs import backbone_spec

      tl_keras.register_backbone(dataclasses.replace(backbone_spec("MobileNetV2"), name="OurMobileNetV2"))
      config = tl_keras.ModelConfig(backbone="OurMobileNetV2", weights="none")
      ```

    Args:
      spec: Facts of the backbone. Its `constructor_package` names an importable module with a function of its name, which takes
        `include_top`, `weights` and `input_shape` as those of `keras.applications` do.
    """
    _table()[spec.name] = spec


@functools.cache
def _table() -> dict[str, BackboneSpec]:
    from tl_keras.backbones.families import all_specs  # the rows use the classes above

    return {spec.name: spec for spec in all_specs()}
